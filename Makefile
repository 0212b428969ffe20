# make setup: .venv with everything pinned; quick when nothing changed
# make demo:  the main job on drawn faces
# make lint:  style, walls between packages, types
# make test:  lint, tests
# make lock:  pins requirements.txt anew

PYTHON ?= python3
BIN := .venv/bin
REQUIREMENTS := requirements.txt
PYTEST ?= -m pytest

.PHONY: setup demo test lint lock clean

setup: .venv/.ready

.venv/.ready: $(REQUIREMENTS) pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("raygan needs Python 3.11 or newer: make setup PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet $(REQUIREMENTS)
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

demo: setup
	$(BIN)/raygan demo

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

test: lint
	$(BIN)/python $(PYTEST)

lock:
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-header --group dev --extra fid --extra onnx --extra s3 pyproject.toml -o $(REQUIREMENTS)

clean:
	rm -rf .venv build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
