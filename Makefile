# The commands people type; CI types the same ones.  `make demo` or `make test` is all a new machine needs.
#
# Tools live in .venv, other builds in build/, the core is compiled in place; `make clean` removes it all.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := PYTHONPATH= $(BIN)/python
CORE   := $(shell find src/cidrmatch -name "*.pyx" -o -name "*.pxd" -o -name "*.h")

.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-library test-around test-all long lint types bench stubs instructions mutants yellow debug debug-share coverage dist docs clean

help:                 ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

# One environment; each group of tools is installed once, when first needed.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/%.group: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --group $*
	@touch $@

# Our own build treats every compiler warning as an error; a user's build does not.
$(VENV)/built: $(CORE) setup.py pyproject.toml $(VENV)/build.group
	CIDRMATCH_BUILD=strict $(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

setup: $(VENV)/test.group $(VENV)/lint.group $(VENV)/types.group build   ## everything a developer needs
build: $(VENV)/built  ## compile the core in place

demo: $(VENV)/demo.group build   ## the main job, on real lists
	@$(RUN) examples/demo.py

# Two halves, for two cores: `make -j2 --output-sync=target test`.
AROUND := tests/gateways tests/service tests/stores tests/feeds tests/frames tests/processes tests/packaging

test: test-library test-around   ## the whole suite

test-library: $(VENV)/test.group build
	$(RUN) -m pytest $(addprefix --ignore=,$(AROUND))

test-around: $(VENV)/test.group build
	$(RUN) -m pytest $(AROUND)

test-all: $(VENV)/test.group build   ## the suite on every CPython from 3.11 up that this machine has
	$(RUN) tools/test_all.py

long: $(VENV)/test.group build   ## ten million comparisons of each kind, and long property tests
	HYPOTHESIS_PROFILE=night $(RUN) -m pytest -s --run-long tests/differential tests/property tests/stateful tests/processes tests/service tests/frames tests/feeds

lint: $(VENV)/lint.group   ## ruff, cython-lint, codespell
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PATH="$(abspath $(BIN)):$$PATH" cython-lint src
	$(BIN)/codespell

types: $(VENV)/types.group $(VENV)/bench.group build   ## mypy, basedpyright, stubtest
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/python -m mypy.stubtest cidrmatch._core cidrmatch._keys cidrmatch.client.common --concise \
		--mypy-config-file pyproject.toml --allowlist tools/stubtest.txt --ignore-unused-allowlist

bench: $(VENV)/bench.group build   ## ours, the floors and the rivals, interleaved; then the tables and plots in docs/
	$(RUN) -m benchmarks.paired
	$(RUN) -m benchmarks.client
	$(RUN) -m benchmarks.report
	$(RUN) -m benchmarks.client --report

stubs: build   ## write the docstrings of the core into its stubs, where editors read them
	$(RUN) tools/stubs.py
	$(BIN)/ruff format --quiet src/cidrmatch/_core src/cidrmatch/_keys src/cidrmatch/client

instructions: build   ## instructions of the hot paths against the committed counts, and how work grows; needs valgrind
	$(RUN) -m benchmarks.instructions
	$(RUN) -m benchmarks.growth

mutants: $(VENV)/test.group   ## break the code on purpose: do tests notice?  CHANGED=HEAD~1: rows of changed files, and some others
	$(RUN) tools/mutants.py $(if $(CHANGED),--changed $(CHANGED))

yellow: $(VENV)/build.group   ## lines of the hot code that touch Python: there should be none
	$(RUN) tools/yellow.py

# Other builds have a copy of the tree each, so they never mix with the one in src/.
build/%/tree: $(CORE) $(shell find src/cidrmatch -name "*.py" -o -name "*.pyi") setup.py pyproject.toml $(VENV)/test.group
	rm -rf $@ && mkdir -p $@
	cp -r src setup.py pyproject.toml README.md LICENSE $@
	find $@ -name '*.so' -delete
	cd $@ && CIDRMATCH_BUILD=$* $(abspath $(BIN)/python) setup.py --quiet build_ext --inplace

SANITIZED = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc

DEBUGGED := $(SANITIZED) PYTHONPATH=build/debug/tree/src $(BIN)/python -m pytest -m "not packaging" -p no:cacheprovider
COMPILED := $(addprefix tests/unit/test_,address.py prefix.py patricia.py allow_list.py arrow.py batches.py keystore.py check.py \
	decisions.py stored_blocks.py hostile_types.py fail_closed.py common_request.py client.py)

debug: build/debug/tree   ## the suite on a build with bounds checks, assertions, ASan and UBSan
	$(DEBUGGED)

debug-share: build/debug/tree   ## of these, the tests of the compiled rooms: some minutes
	HYPOTHESIS_PROFILE=dev $(DEBUGGED) -q $(COMPILED)

coverage: build/coverage/tree   ## lines and branches of the Python files, lines of the core
	ln -sfn $(abspath tests examples docs benchmarks tools) build/coverage/tree/
	cd build/coverage/tree && rm -f .coverage && HYPOTHESIS_PROFILE=dev PYTHONPATH=src \
		$(abspath $(BIN)/python) -m coverage run -m pytest -q -m "not packaging" -p no:cacheprovider \
		-k "not huge" tests/unit tests/property tests/packaging
	cd build/coverage/tree && $(abspath $(BIN)/python) -m coverage report

dist: $(VENV)/dist.group   ## the sdist, the wheel built from it, and its bill of materials
	rm -rf dist
	$(RUN) tools/dist.py
	$(BIN)/twine check --strict dist/*.tar.gz dist/*.whl

docs: $(VENV)/bench.group build   ## refresh the tables and plots in README.md and docs/ from the committed results
	$(RUN) -m benchmarks.report
	$(RUN) -m benchmarks.client --report

clean:                ## back to a fresh clone
	rm -rf $(VENV) build dist src/*.egg-info .coverage* .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find src tests benchmarks -name '*.so' -delete -o -name __pycache__ -prune -exec rm -rf {} +
