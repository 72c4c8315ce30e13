# Everything that CI runs, and everything a newcomer needs. `make help` lists it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Most of a test's time is spent waiting for a server or a program. A file's tests stay together.
PARALLEL := -n 3 --dist loadfile
DAYS   ?= 30
COMPOSE ?= $(if $(shell command -v docker-compose),docker-compose,docker compose)
export DATABASE_URL ?= embedded:.local/postgres
export COMPOSE

.DEFAULT_GOAL := help
.PHONY: help setup migrate migrate-build migrate-status migrate-validate migrate-info migrate-rollback migrate-cleanup \
	migrate-check migrate-setup migrate-setup-clean migrate-verify migrate-docker-build migrate-docker \
	migrate-docker-status fmt check test test-all test-pg15 test-faults test-containers test-workflows bench docs docs-rules docs-picture lock clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

migrate: $(VENV)/.run  ## Apply migrations/, on an embedded PostgreSQL unless DATABASE_URL names another
	$(BIN)/sqlmigrate migrate

migrate-status: $(VENV)/.run  ## Show where each migration stands
	$(BIN)/sqlmigrate status

migrate-validate: $(VENV)/.run  ## Report every problem of files and history
	$(BIN)/sqlmigrate validate

migrate-info: $(VENV)/.run  ## Show everything known of all migrations, or of VERSION=v2.0.0-001
	$(BIN)/sqlmigrate info $(VERSION)

migrate-rollback: $(VENV)/.run  ## Go back to VERSION=v2.0.0-001, which stays applied; asks, unless YES=1
	$(if $(VERSION),,$(error say where to: make migrate-rollback VERSION=v2.0.0-001))
	$(BIN)/sqlmigrate rollback --version $(VERSION) $(if $(YES),--yes)

migrate-cleanup: $(VENV)/.run  ## Take out of the log what is older than DAYS=30
	$(BIN)/sqlmigrate cleanup --keep-days $(DAYS)

migrate-check: $(VENV)/.run  ## Exit 0 when the database is up to date
	$(BIN)/sqlmigrate check

migrate-verify: $(VENV)/.run  ## Rehearse what is pending and roll it back, then check that nothing is wrong or pending
	$(BIN)/sqlmigrate validate --dry-run
	$(BIN)/sqlmigrate check

migrate-setup:  ## From nothing to a migrated database; see scripts/migrate-setup.sh
	scripts/migrate-setup.sh

migrate-setup-clean:  ## The same, and the old database is removed before
	scripts/migrate-setup.sh --clean

migrate-build: $(VENV)/.uv  ## Build the wheel and the source package into dist/
	$(BIN)/uv build -q

migrate-docker-build:  ## Build the image
	$(COMPOSE) build migrate

migrate-docker:  ## Start PostgreSQL in a container, and migrate it in another
	scripts/migrate-setup.sh --docker

migrate-docker-status:  ## Show where each migration stands there
	$(COMPOSE) run --rm migrate status

setup: $(VENV)/.dev  ## Everything that developing needs, in .venv

test: $(VENV)/.dev  ## The tests, on an embedded PostgreSQL 18, with coverage
	$(BIN)/pytest $(PARALLEL) -m "not long and not debian and not container and not workflow" --cov --cov-report=
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include="sqlmigrate/planning/planner.py,sqlmigrate/execution/message.py,sqlmigrate/sql/[cis]*.py,sqlmigrate/locks/*,sqlmigrate/files/naming.py,sqlmigrate/duration.py,sqlmigrate/errors.py,sqlmigrate/model.py"

test-pg15: $(VENV)/.dev  ## The tests that need a server, on Debian's PostgreSQL 15; PgBouncer, promtool, Chromium
	scripts/install-debian.sh
	SQLMIGRATE_TEST_SERVER=local $(BIN)/pytest $(PARALLEL) -m "not long and not workflow and (debian or not anywhere)" \
		tests/integration tests/cli tests/docs tests/lint/server_truth.py

test-containers: $(VENV)/.dev  ## The image and the compose files, and integration tests on a server in a container
	scripts/with-containers.sh $(BIN)/pytest $(PARALLEL) -m container -rP tests/containers tests/delivery
	SQLMIGRATE_TEST_SERVER=container scripts/with-containers.sh $(BIN)/pytest \
		$(PARALLEL) tests/integration/test_history.py tests/integration/test_like_psql.py

test-workflows: $(VENV)/.dev  ## The steps of the workflows and of the action, and actionlint by way of Go
	$(BIN)/pytest -m "workflow and not container" tests/delivery

test-all: test test-pg15 test-faults test-containers test-workflows  ## All tests, on both versions, and the fault runs

test-faults: $(VENV)/.dev  ## Kill, cut and race, for as long as it takes
	$(BIN)/pytest -m long --no-header

check: $(VENV)/.dev  ## Format, lint, types and import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.dev  ## Format, and mend what lint can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## Measure against psql and bare scripts; see benchmarks/README.md
	$(BIN)/python -m benchmarks

docs: $(VENV)/.dev  ## Build the documentation into .local/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-picture: $(VENV)/.dev  ## Draw docs/images/terminal.svg anew, from a real run
	$(BIN)/python scripts/terminal_picture.py

docs-rules: $(VENV)/.dev  ## Write docs/rules.md anew, from the linter's rules
	$(BIN)/sqlmigrate rules --format markdown > docs/rules.md

lock: $(VENV)/.uv  ## Write requirements*.lock anew
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --extra all pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --extra lint --extra metrics -c requirements.lock pyproject.toml -o requirements-image.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --group build -o requirements-build.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --extra all --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:  ## Remove what make made; the embedded database too
	rm -rf $(VENV) .local .mypy_cache .pytest_cache .ruff_cache .coverage*

$(VENV)/.uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check uv
	touch $@

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/.uv
	$(BIN)/uv pip install -q --require-hashes -r requirements.lock
	$(BIN)/uv pip install -q --no-deps -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/uv pip install -q --require-hashes -r requirements-dev.lock
	touch $@
