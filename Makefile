# One command per verb, the same on a desk and in CI.
#
#   make setup    .venv with the newest CPython found (PYTHON=... overrides), pinned packages
#   make peers    the programs that the tests talk to, from Debian's packages (ARGS=all: Java and Go, too)
#   make demo     the push echo on https://localhost:8443 (ARGS="--port 9000" and so on)
#   make test     the tests that need no peer, three minutes on two cores (ARGS="tests/wire -x": those, all)
#   make test-all all tests, with branch coverage
#   make test-others  pytest on every other CPython that is supported and found (ARGS as above)
#   make test-versions  the server's tests with the oldest and the newest allowed versions
#   make test-sites  Chromium visits ten sites of other people, and WordPress, and 1 GiB each way
#                 passes through the proxy: nine minutes
#   make lint     ruff, mypy, the import contracts, shellcheck, zizmor
#   make fuzz     random peers (RUNS of each test), then each target of tests/fuzzing/guided for SECONDS
#   make mutants  small faults put into wire/, learn/ and parts of server/, and which no test notices:
#                 hours; goes on where it stopped (ARGS="headstart.wire.fields.*"); with
#                 ARGS="--sample 1000" an estimate from some that are drawn by lot
#   make soak     mixed load for ten minutes, and whether memory stays flat (ARGS="--minutes 1")
#   make pictures the README's pictures, from a real session
#   make docs     the documentation as a site, in site/ (strict: a broken link or reference fails)
#   make dist     the sdist and the wheel, in dist/
#   make bench    comparison with other servers and clients (ARGS=... goes to `python -m bench`)

BIN := .venv/bin
ARGS ?=
RUNS ?= 20000
SECONDS ?= 60

export PYTHON
# Tests are thousands, and start hundreds of programs: each process would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

# Tests run side by side, each file in one process; see tests/conftest.py.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

.PHONY: help setup peers demo test test-all test-others test-versions test-sites lint fuzz mutants soak pictures docs dist bench clean

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@tools/setup

peers:
	@tools/peers $(ARGS)

demo: setup
	@$(BIN)/headstart demo $(ARGS)

test: setup
	@$(BIN)/python -m pytest $(if $(ARGS),--cov=headstart $(ARGS),--quick $(PARALLEL))

test-all: setup
	@$(BIN)/python -m pytest --cov=headstart $(PARALLEL) $(ARGS)

test-others: setup
	@tools/test-others $(ARGS)

test-versions: setup
	@tools/test-versions $(ARGS)

test-sites:
	@tools/setup sites
	@tools/peers sites || :
	@$(BIN)/python -m pytest sites --timeout=900 $(ARGS)
	@$(if $(ARGS),:,PROXY_MEBIBYTES=1024 $(BIN)/python -m pytest tests/proxy/test_processes.py -k large_content)

lint: setup
	@tools/lint

fuzz:
	@tools/setup fuzz
	@[ "$(RUNS)" = 0 ] || FUZZ_RUNS="$(RUNS)" $(BIN)/python -m pytest tests/fuzzing --timeout=3600 $(ARGS)
	@$(BIN)/python -m tests.fuzzing.guided --seconds $(SECONDS)

mutants:
	@tools/setup mutants
	@$(BIN)/python tools/mutants.py $(ARGS)

soak: setup
	@$(BIN)/python -m bench.soak $(ARGS)

pictures: setup
	@$(BIN)/python tools/pictures.py

docs:
	@tools/setup docs
	@$(BIN)/python tools/docs.py

dist: setup
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist

bench:
	@tools/setup bench
	@$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf dist site .venv .venv-* .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache mutants
