# `make run` and `make test` create what they need: a virtual environment and the packages in it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENDORS := .venv-vendors

# Takes in .env, over which the shell's own environment wins, and with it what stands on make's command line.
WITH_ENV := if [ -f .env ]; then given=$$(export -p); set -a; . ./.env; set +a; eval "$$given"; fi;

.PHONY: install run test vendors check clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@echo "Installing into $(VENV): some 480 MB, half a minute or more ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local]'
	@touch $@

$(VENV)/.installed-for-tests: $(VENV)/.installed
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[load,local,picture,test]'
	@touch $@

run: install
	@$(WITH_ENV) exec $(BIN)/voice-gateway serve

test: $(VENV)/.installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

# The fakes of the providers against the vendors' own clients, whose versions exclude each other's and ours.
vendors: $(VENDORS)/.installed
	$(VENDORS)/bin/python -m pytest -o filterwarnings=default tests/vendors

$(VENDORS)/.installed: pyproject.toml tests/vendors/requirements.txt
	@echo "Installing the vendors' clients into $(VENDORS) ..."
	@test -x $(VENDORS)/bin/python || $(PYTHON) -m venv $(VENDORS)
	@$(VENDORS)/bin/python -m pip install --quiet --disable-pip-version-check --editable . -r tests/vendors/requirements.txt
	@touch $@

check: install
	@$(WITH_ENV) exec $(BIN)/voice-gateway check

clean:
	rm -rf $(VENV) $(VENDORS)
