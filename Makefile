# `make run` and `make test` create what they need: a virtual environment and the packages in it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Takes in .env, over which the shell's own environment wins, and with it what stands on make's command line.
WITH_ENV := if [ -f .env ]; then given=$$(export -p); set -a; . ./.env; set +a; eval "$$given"; fi;

.PHONY: install run test check clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@echo "Installing into $(VENV): some 450 MB, half a minute or more ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local]'
	@touch $@

$(VENV)/.installed-for-tests: $(VENV)/.installed
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,picture,test]'
	@touch $@

run: install
	@$(WITH_ENV) exec $(BIN)/voice-gateway serve

test: $(VENV)/.installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

check: install
	@$(WITH_ENV) exec $(BIN)/voice-gateway check

clean:
	rm -rf $(VENV)
