# Targets for newcomers, for developers and for CI. `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Three workers on two cores: tests mostly wait for a server or a program. The tests of a file run in one worker. In
# the order of the folders, tests/unit/ comes last, whose many short files keep all workers busy to the end.
PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder
ORDINARY := not long and not debian and not container and not workflow
DAYS   ?= 30
COMPOSE ?= $(if $(shell command -v docker-compose),docker-compose,docker compose)
export DATABASE_URL ?= embedded:.local/postgres
export COMPOSE
# Without byte code, each of the thousand processes of the tests would compile every module.
export PYTHONDONTWRITEBYTECODE :=
# Behind a company's TLS proxy, only the system's certificate store contains the proxy's CA. uv reads that store only when
# one of these variables is set: UV_SYSTEM_CERTS since uv 0.11, UV_NATIVE_TLS before.
export UV_NATIVE_TLS ?= true
export UV_SYSTEM_CERTS ?= $(UV_NATIVE_TLS)
SYSTEM_CERTIFICATES := $(PYTHON) -c 'import ssl; paths = ssl.get_default_verify_paths(); print(paths.cafile or paths.capath or "")'

.DEFAULT_GOAL := help
.PHONY: help setup migrate migrate-build migrate-status migrate-validate migrate-info migrate-rollback migrate-cleanup \
	migrate-check migrate-setup migrate-setup-clean migrate-verify migrate-docker-build migrate-docker \
	migrate-docker-status migrate-docker-validate fmt check test test-slow test-all test-pg15 test-versions test-faults test-containers test-snapshots test-workflows bench docs docs-rules docs-picture lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-23s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

migrate: $(VENV)/.run  ## Apply migrations/ to the database of DATABASE_URL; by default an embedded PostgreSQL
	$(BIN)/sqlmigrate migrate

migrate-status: $(VENV)/.run  ## Show the state of each migration
	$(BIN)/sqlmigrate status

migrate-validate: $(VENV)/.run  ## Report all problems of the files and of the history
	$(BIN)/sqlmigrate validate

migrate-info: $(VENV)/.run  ## Show the details of all migrations, or of VERSION=v2.0.0-001
	$(BIN)/sqlmigrate info $(VERSION)

migrate-rollback: $(VENV)/.run  ## Roll back to VERSION=v2.0.0-001, which stays applied; YES=1 skips the prompt
	$(if $(VERSION),,$(error VERSION is not set: make migrate-rollback VERSION=v2.0.0-001))
	$(BIN)/sqlmigrate rollback --version $(VERSION) $(if $(YES),--yes)

migrate-cleanup: $(VENV)/.run  ## Delete log entries that are older than DAYS=30
	$(BIN)/sqlmigrate cleanup --keep-days $(DAYS)

migrate-check: $(VENV)/.run  ## Exit with 0 if the database is up to date
	$(BIN)/sqlmigrate check

migrate-verify: $(VENV)/.run  ## Check that files and history have no problem and that none is pending; run it after migrate-setup
	$(BIN)/sqlmigrate validate --dry-run
	$(BIN)/sqlmigrate check

migrate-setup:  ## Create the database and migrate it; see scripts/migrate-setup.sh
	scripts/migrate-setup.sh

migrate-setup-clean:  ## Remove the database, create it again and migrate it
	scripts/migrate-setup.sh --clean

migrate-build: $(VENV)/.uv  ## Build the wheel and the source distribution into dist/
	$(BIN)/uv build -q

migrate-docker-build:  ## Build the container image
	$(COMPOSE) build migrate

migrate-docker:  ## Start PostgreSQL in a container and migrate it from another container
	scripts/migrate-setup.sh --docker

migrate-docker-status:  ## Show the state of each migration in the container's database
	$(COMPOSE) run --rm migrate status

migrate-docker-validate:  ## Report all problems of the files, and of the history in the container's database
	$(COMPOSE) run --rm migrate validate

setup: $(VENV)/.dev  ## Install the development tools into .venv

test: $(VENV)/.dev  ## Run the tests on an embedded PostgreSQL 18; COVERAGE=1 also runs the slow ones, and checks the coverage
	$(BIN)/pytest $(PARALLEL) -m "$(ORDINARY) $(if $(COVERAGE),,and not slow)" $(if $(COVERAGE),--cov --cov-report=)
ifdef COVERAGE
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include="sqlmigrate/planning/planner.py,sqlmigrate/execution/message.py,sqlmigrate/sql/[cis]*.py,sqlmigrate/locks/*,sqlmigrate/files/naming.py,sqlmigrate/config/duration.py,sqlmigrate/errors.py,sqlmigrate/model.py"
endif

test-slow: $(VENV)/.dev  ## Run the slow tests: secrets, the pytest plugin, the embedded server, terminals, short fault tests
	$(BIN)/pytest $(PARALLEL) -m "$(ORDINARY) and slow"

test-pg15: $(VENV)/.dev  ## Run the tests that need a server on Debian's PostgreSQL 15, with PgBouncer, promtool and Chromium
	scripts/install-debian.sh
	SQLMIGRATE_TEST_SERVER=local $(BIN)/pytest $(PARALLEL) -m "not long and not workflow and (debian or not anywhere)" \
		tests/integration tests/cli tests/docs tests/lint/server_truth.py

test-versions: $(VENV)/.dev  ## Run the tests that depend on the server on PostgreSQL 14 to 18, or on VERSIONS="14 17"
	scripts/install-debian.sh
	scripts/test-versions.sh $(VERSIONS)

test-snapshots: $(VENV)/.dev  ## Compare snapshots with pg_dump after SNAPSHOT_MUTATIONS=2000 random statements
	$(BIN)/pytest $(PARALLEL) --dist load -m long tests/integration/test_snapshots.py

test-containers: $(VENV)/.dev  ## Test the image and the compose files; run some integration tests on a server in a container
	scripts/with-containers.sh $(BIN)/pytest $(PARALLEL) -m container -rP tests/containers tests/delivery
	SQLMIGRATE_TEST_SERVER=container scripts/with-containers.sh $(BIN)/pytest \
		$(PARALLEL) tests/integration/test_history.py tests/integration/test_like_psql.py

test-workflows: $(VENV)/.dev  ## Run the steps of the workflows and of the action, and actionlint (needs Go)
	$(BIN)/pytest -m "workflow and not container" tests/delivery

test-all: test test-slow test-pg15 test-versions test-faults test-containers test-workflows  ## Run all tests, on PostgreSQL 14 to 18, with the long fault tests

test-faults: $(VENV)/.dev  ## Run the long fault tests: kill -9, lost connections, races
	$(BIN)/pytest -m long --no-header

check: $(VENV)/.dev  ## Check format, lint, types and import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.dev  ## Format the code and apply the automatic fixes of the linter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## Compare the speed with psql and with bare scripts; see benchmarks/README.md
	$(BIN)/python -m benchmarks

docs: $(VENV)/.dev  ## Build the documentation into .local/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-picture: $(VENV)/.dev  ## Regenerate docs/images/terminal*.svg from real runs
	$(BIN)/python -m scripts.terminal_pictures

docs-rules: $(VENV)/.dev  ## Regenerate docs/rules.md from the linter's rules
	$(BIN)/sqlmigrate rules --format markdown > docs/rules.md

lock: $(VENV)/.uv  ## Regenerate requirements*.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --extra all pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --extra lint --extra metrics -c requirements.lock pyproject.toml -o requirements-image.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --group build -o requirements-build.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --extra all --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:  ## Remove all generated files and the embedded database
	rm -rf $(VENV) .local .mypy_cache .pytest_cache .ruff_cache .coverage*

$(VENV)/.uv:
	$(PYTHON) -m venv $(VENV)
	@# pip before 24.2 does not read the system's certificate store: try again with it.
	$(BIN)/pip install -qqq --retries 1 --disable-pip-version-check uv \
		|| PIP_CERT="$${PIP_CERT:-$$($(SYSTEM_CERTIFICATES))}" $(BIN)/pip install -q --disable-pip-version-check uv
	touch $@

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/.uv
	$(BIN)/uv pip install -q --require-hashes -r requirements.lock
	$(BIN)/uv pip install -q --no-deps -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/uv pip install -q --require-hashes -r requirements-dev.lock
	touch $@
