# Everything that CI runs, and everything a newcomer needs. `make help` lists it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export DATABASE_URL ?= embedded:.local/postgres

.DEFAULT_GOAL := help
.PHONY: help setup migrate migrate-status fmt check test test-all test-pg15 test-faults bench docs-rules lock clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

migrate: $(VENV)/.run  ## Apply migrations/, on an embedded PostgreSQL unless DATABASE_URL names another
	$(BIN)/sqlmigrate migrate

migrate-status: $(VENV)/.run  ## Show where each migration stands
	$(BIN)/sqlmigrate status

setup: $(VENV)/.dev  ## Everything that developing needs, in .venv

test: $(VENV)/.dev  ## The tests, on an embedded PostgreSQL 18, with coverage
	$(BIN)/pytest -m "not long and not debian" --cov --cov-report=
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include="sqlmigrate/planner.py,sqlmigrate/message.py,sqlmigrate/script.py,sqlmigrate/locks/*,sqlmigrate/statement.py,sqlmigrate/scanner.py,sqlmigrate/naming.py,sqlmigrate/duration.py,sqlmigrate/errors.py,sqlmigrate/model.py"

test-pg15: $(VENV)/.dev  ## The tests that need a server, on Debian's PostgreSQL 15, and those behind PgBouncer
	scripts/install-debian.sh
	SQLMIGRATE_TEST_SERVER=local $(BIN)/pytest -m "not long" tests/integration tests/cli

test-all: test test-pg15 test-faults  ## All tests, on both versions, and the whole fault runs

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

docs-rules: $(VENV)/.dev  ## Write docs/rules.md anew, from the linter's rules
	$(BIN)/sqlmigrate rules --format markdown > docs/rules.md

lock: $(VENV)/.uv  ## Write requirements*.lock anew
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --extra all pyproject.toml -o requirements.lock
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
