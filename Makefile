# Everything a contributor needs; each target makes the environment that it asks for, in VENV.

PYTHON ?= python3
# The torch to install for training, e.g. TORCH=torch==2.13.0
TORCH ?= torch
VENV ?= .venv
PORT ?= 8000
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
# What the recipe's files lie in, and the weights that it starts from (docs/model-card.md names their origins)
DATA ?= data
WEIGHTS ?= mobilenetv2_100_imagenet.safetensors
# How often `make torture` kills
KILLS ?= 1000

.PHONY: setup setup-train demo test test-train torture lint types docs bench bench-speed clean

setup: $(VENV)/.dev ## the package with what its tests need

setup-train: $(VENV)/.train ## and with what training needs, and converting networks of hubs

demo: $(VENV)/.plain ## draws a catalog, indexes it and serves it on http://127.0.0.1:8000
	$(BIN)/focusedfashion demo --port $(PORT)

test: $(VENV)/.dev ## all tests but those of training and of the hubs' networks
	$(BIN)/python -m pytest --ignore tests/training --ignore tests/hub

test-train: $(VENV)/.train ## the tests of training, of studies that train, and of the hubs' networks
	$(BIN)/python -m pytest tests/training tests/test_study.py tests/hub

torture: $(VENV)/.dev ## kills indexing KILLS times at random moments and checks that nothing is lost (about a second each)
	$(BIN)/python tests/torture.py --kills $(KILLS)

lint: $(VENV)/.dev
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .

types: $(VENV)/.train
	$(BIN)/mypy --no-error-summary

docs: $(VENV)/.dev ## writes the generated parts of the docs again
	$(BIN)/python docs/generate.py

bench: $(VENV)/.train ## the figures of docs/model-card.md; needs the data (DATA=..., WEIGHTS=...)
	$(BIN)/python benchmarks/encoders.py --data $(DATA) --weights $(WEIGHTS)

# What the speed is measured on; drawn pictures stand in for what is not given
PHOTOS ?=
PRODUCTS ?=

bench-speed: $(VENV)/.train ## the figures of docs/speed.md (PHOTOS=folder PRODUCTS=table...); an hour on two quiet cores
	$(BIN)/python benchmarks/indexing.py $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(PRODUCTS),--products $(PRODUCTS))
	$(BIN)/python benchmarks/search.py $(PRODUCTS)
	$(BIN)/python benchmarks/one_photo.py $(firstword $(PRODUCTS))
	$(BIN)/python benchmarks/pipeline.py $(PHOTOS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/pip:
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.plain: $(VENV)/bin/pip pyproject.toml
	$(PIP) install --editable .
	touch $@

$(VENV)/.dev: $(VENV)/bin/pip pyproject.toml
	$(PIP) install --editable '.[dev]'
	touch $@

$(VENV)/.train: $(VENV)/.dev
	$(PIP) install '$(TORCH)' --editable '.[train,hub-torch]'
	# Two of the neighbor engines that studies compare are compiled as they are installed.
	$(PIP) install --editable '.[study]' || echo "no compiler: the tests of Annoy and hnswlib will be skipped"
	touch $@
