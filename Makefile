# `make run` and `make test` create what they need: a virtual environment and the packages in it.

PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install run test check clean

install: $(STAMP)

$(STAMP): pyproject.toml
	@echo "Installing into $(VENV): about 400 MB, half a minute or more ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,test]'
	@touch $@

run: install
	@set -a; if [ -f .env ]; then . ./.env; fi; exec $(BIN)/voice-gateway serve --port $(PORT)

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

check: install
	$(BIN)/voice-gateway check

clean:
	rm -rf $(VENV)
