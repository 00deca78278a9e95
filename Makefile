# One set of recipes for people and for CI. Each recipe does the set-up that it needs.
.PHONY: setup redis demo test hunt check fmt bench lock clean
# Debian's own build of Python is optimised by profile. Beside a plain build, which version managers make
# unless told otherwise, it takes 15 % less processor time per call.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11) python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

setup: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml
	@# Debian keeps the venv module's bootstrap in a package of its own.
	$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); apt-get update -qq && apt-get install -qq -y python3-venv && $(PYTHON) -m venv $(VENV); } \
		|| { rm -rf $(VENV); python3 -m venv $(VENV); }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

redis:  ## A redis-server for the tests, where there is none; they start and end it themselves.
	@command -v redis-server >/dev/null || { apt-get update -qq && apt-get install -qq -y redis-server; }

demo: setup  ## Play agent conversations through the gateway and show what was saved.
	$(BIN)/bursar demo

test: setup redis  ## Everything that proves the project: style, types, layers, tests.
	$(MAKE) check
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report --skip-covered --show-missing --format=total

hunt: setup redis  ## The laws on examples that nobody has tried yet; `make test` draws the same at every run.
	$(BIN)/python -m pytest --hypothesis-profile=hunt tests/properties tests/contracts

check: setup  ## Style, types and layers, without the tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup redis  ## Print the figures: bill, overhead, throughput, faults.
	$(BIN)/python -m bench

lock:  ## Renew the hash-locked requirements (no index address goes in).
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --quiet -o requirements/dev.txt

clean:
	rm -rf $(VENV) build dist .coverage .pytest_cache .ruff_cache .import_linter_cache bursar-data
