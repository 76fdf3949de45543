# One command per verb, the same on a desk and in CI.
#
#   make setup    .venv with the newest CPython found (PYTHON=... overrides), pinned packages
#   make demo     the push echo on https://localhost:8443 (ARGS="--port 9000" and so on)
#   make test     pytest with branch coverage (ARGS="-k push -x" and so on)
#   make test-others  pytest on every other CPython that is supported and found (ARGS as above)
#   make lint     ruff, mypy, the import contracts
#   make fuzz     random peers (RUNS of each test), then each target of fuzz/ for SECONDS
#   make soak     mixed load for ten minutes, and whether memory stays flat (ARGS="--minutes 1")
#   make pictures the README's pictures, from a real session
#   make bench    comparison with other servers and clients (ARGS=... goes to `python -m bench`)

BIN := .venv/bin
ARGS ?=
RUNS ?= 20000
SECONDS ?= 60

export PYTHON

.PHONY: help setup demo test test-others lint fuzz soak pictures bench clean

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@tools/setup

demo: setup
	@$(BIN)/headstart demo $(ARGS)

test: setup
	@$(BIN)/python -m pytest --cov $(ARGS)

test-others: setup
	@tools/test-others $(ARGS)

lint: setup
	@tools/lint

fuzz:
	@tools/setup fuzz
	@[ "$(RUNS)" = 0 ] || FUZZ_RUNS="$(RUNS)" $(BIN)/python -m pytest tests/fuzzing --timeout=3600 $(ARGS)
	@$(BIN)/python -m fuzz --seconds $(SECONDS)

soak: setup
	@$(BIN)/python -m bench.soak $(ARGS)

pictures: setup
	@$(BIN)/python tools/pictures.py

bench:
	@tools/setup bench
	@$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf .venv .venv-* .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
