# `make help` lists the targets; the first one that needs it sets up .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help figures test mutants lab lint notebooks book slides clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# Torch comes first and alone, so that a CPU build which pip's own settings offer is taken and kept.
# The stamp comes last: after an interruption the next call goes on where this one stopped.
$(STAMP): pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	    $(PYTHON) -c '$(SUITABLE)' 2>/dev/null || { \
	        echo "Python 3.11, 3.12 or 3.13 is needed, and \`$(PYTHON)\` is" \
	            "$$($(PYTHON) --version 2>/dev/null || echo not there)." \
	            "Name another: make PYTHON=python3.12" >&2; \
	        exit 1; }; \
	    $(PYTHON) -m venv --clear .venv; }
	@$(BIN)/python -c '$(SUITABLE)' || { \
	    echo "Python 3.11, 3.12 or 3.13 is needed, and .venv has another: remove it." >&2; exit 1; }
	$(BIN)/python -m pip install -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	@touch $@

figures: $(STAMP) ## train on the embedded data, draw every figure and table
	$(BIN)/python -m msam_lib figures

test: $(STAMP) ## run the tests and the examples in the docstrings
	$(BIN)/python -m pytest -n auto --dist loadfile

mutants: $(STAMP) ## put faults into copies of the library: do the tests notice?
	$(BIN)/python -m tools.mutants

lab: $(STAMP) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

lint: $(STAMP) ## check style, types, the walls between rooms, and the notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python tools/build_notebooks.py --check

notebooks: $(STAMP) ## build the notebooks from notebooks/_src and run them
	$(BIN)/python tools/build_notebooks.py --execute

book: $(STAMP) ## build the site into build/book/html and check its links
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[book]"
	$(BIN)/python tools/build_book.py --check

slides: $(STAMP) ## export the notebooks of the course as slides into build/slides
	$(BIN)/python tools/build_slides.py

clean: ## remove caches and build products; runs, frozen results and .venv stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . \( -name .git -o -name .venv -o -name runs \) -prune -o \
	    \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -exec rm -rf {} +
