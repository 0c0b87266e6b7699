# Everything here sets itself up: all that is needed is Python >= 3.11, make and pip.
#   make demo [IMAGE=photo.jpg]   find people in a photograph and say where the result is
#   make test                     install what the tests need and run the fast set
#   make test-all                 the slow ones too
#   make explore [SEED=1]         tests of random examples with new ones; says how to repeat them
#   make hunt [SEED=1 COUNT=5000] damaged inputs of every kind; docs/reliability.md
#   make check                    ruff and mypy
#   make docs                     API pages from the docstrings, in out/docs; warnings are errors
#   make bench                    time models on every backend here: table, plot, JSON; and the decoder
#   make train-smoke              train a tiny network on drawn people, in minutes
#   make search-smoke             supernet, search and fine-tuning on drawn people, in minutes
#   make map-smoke                map thousands of drawn images on a local Ray, workers killed
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
IMAGE ?= examples/images/astronaut.jpg examples/images/scene.jpg

.PHONY: demo test test-all explore hunt check docs bench train-smoke search-smoke map-smoke clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	@mkdir -p out
	$(BIN)/litepose predict $(IMAGE) --effort best --output out/demo > out/demo.jsonl
	@echo "The images with everybody drawn in are in out/demo/, the people as JSON in out/demo.jsonl"

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow" -n auto --dist worksteal

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist worksteal

explore: $(VENV)/.dev
	@seed=$${SEED:-$$(date +%s)}; echo "to repeat this: make explore SEED=$$seed"; \
	  LITEPOSE_EXAMPLES=explore $(BIN)/python -m pytest -m hypothesis --hypothesis-seed=$$seed \
	  -n auto --dist worksteal || { echo "to repeat this: make explore SEED=$$seed"; exit 1; }

hunt: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz --seed $${SEED:-$$(date +%s)} --count $${COUNT:-5000}

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/python docs/api.py out/docs

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/decode.py
	$(BIN)/litepose bench --output out/bench

train-smoke: $(VENV)/.dev
	$(BIN)/python benchmarks/train_smoke.py

search-smoke: $(VENV)/.dev
	$(BIN)/python benchmarks/search_smoke.py

map-smoke: $(VENV)/.dev
	$(BIN)/python benchmarks/map_smoke.py

clean:
	rm -rf $(VENV) out build dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "litepose needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps are as new as what was installed: a second run goes straight to its work.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing litepose into $(VENV) (once, about 300 MB) ..."
	$(PIP) install -c constraints.txt -e .
	@mkdir -p out
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing litepose and what its tests need into $(VENV) (once, some minutes) ..."
	$(PIP) install -c constraints.txt -e '.[dev]'
	@mkdir -p out
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: $(VENV)/.dev
	$(PIP) install -c constraints.txt -e '.[dev,docs]'
	@touch $@
