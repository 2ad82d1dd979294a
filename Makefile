# make demo    draws a face for each recording in examples/; needs Python 3.11 or newer, no torch
# make test    all tests but the slow ones, in minutes     make lint    style, types, floors
# make test-all    these, then the slow ones: a browser, a proxy, a cluster, whole examples
# make docs    builds the documentation into out/site, without torch; any warning is an error
# make bench   latency of inference, on a machine that does nothing else

PYTHON ?= python3
INSTALL = -m pip install --quiet -c constraints.txt -e
# One process a core of two, and one thread a process; a file's tests stay together.
PYTEST = OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile
# A small environment for those who write, unless the one for everything is there.
DOCS = $(if $(wildcard .venv/installed),.venv,.venv-docs)

.PHONY: demo test test-all lint docs bench clean

demo: .venv-demo/installed
	.venv-demo/bin/python examples/demo.py

test: .venv/installed
	$(PYTEST) -m 'not slow' $(TEST_OPTIONS)

test-all: test
	$(PYTEST) -m slow $(TEST_OPTIONS)

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright
	.venv/bin/lint-imports --no-logo --no-cache

docs: $(DOCS)/installed
	$(DOCS)/bin/python -m mkdocs build --strict --quiet

bench: .venv/installed
	.venv/bin/python benchmarks/latency.py

clean:
	rm -rf .venv .venv-demo .venv-docs out

.venv-demo/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python $(INSTALL) .
	touch $@

.venv-docs/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(INSTALL) '.[docs]'
	touch $@

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python $(INSTALL) '.[dev]'
	touch $@
