# make demo    draws a face for each recording in examples/; needs Python 3.11 or newer, no torch
# make test    all tests but the slow ones, in minutes     make lint    style, types, floors
# make test-all    the slow ones too: a browser, a proxy, a cluster, whole examples
# make docs    builds the documentation into out/site, without torch; any warning is an error
# make web     fetches what `speech2face page` needs beside the package, by npm (package-lock.json)
# make bench   latency of inference, on a machine that does nothing else

PYTHON ?= python3
INSTALL = -m pip install --quiet -c constraints.txt -e
# One process a core of two, and one thread a process; a file's tests stay together, and files
# begin in the order of tests/conftest.py.
PYTEST = OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
# A small environment for those who write, unless the one for everything is there.
DOCS = $(if $(wildcard .venv/installed),.venv,.venv-docs)
# What the page that draws in the browser runs on, and the checker of its types.
WEB = src/speech2face/assets/web_runtime/onnxruntime.wasm.bin node_modules/.package-lock.json

# What hundreds of processes import is compiled once, not in each of them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all lint docs web bench clean

demo: .venv-demo/installed
	.venv-demo/bin/python examples/demo.py

test: .venv/installed
	$(PYTEST) -m 'not slow' $(TEST_OPTIONS)

test-all: .venv/installed $(WEB)
	$(PYTEST) $(TEST_OPTIONS)

lint: .venv/installed $(WEB)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright
	.venv/bin/lint-imports --no-logo --no-cache
	node_modules/.bin/tsc

docs: $(DOCS)/installed $(WEB)
	$(DOCS)/bin/python -m mkdocs build --strict --quiet

web: $(WEB)

bench: .venv/installed
	.venv/bin/python benchmarks/latency.py

clean:
	rm -rf .venv .venv-demo .venv-docs out node_modules src/speech2face/assets/web_runtime

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

$(WEB) &: package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(PYTHON) scripts/pack_web_runtime.py
