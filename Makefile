# Two commands: `make book` and `make test`. Both set up what they need first, in this folder only.
PYTHON ?= python3
UV := .uv/bin/uv
BIN := .venv/bin
export VIRTUAL_ENV := $(CURDIR)/.venv
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE  # without bytecode every page compiles its imports: 5 s each

.PHONY: book test check pages stages faults references rivals lock clean help

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

book: .venv/ready  ## execute the pages (demo profile) and build build/demo/html/index.html
	$(BIN)/wlbook build --profile demo

test: check pages  ## lint, types, unit tests, then every cell of every page against its reference

check: .venv/ready  ## lint, types and unit tests
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

pages: .venv/ready  ## execute every page from an empty store and compare its cells (nbval)
	$(BIN)/pytest --nbval tests/pages --nbval-sanitize-with tests/pages/sanitize.cfg --nbval-cell-timeout=900

stages: .venv/ready  ## write down what an edit makes anew, in CONTRIBUTING.md
	$(BIN)/python tests/stage_table.py

faults: .venv/ready  ## damage, kill, fill disks and remove while others read: nothing may be lost (two hours)
	$(BIN)/python tests/faults.py

references: .venv/ready  ## execute the pages anew and store their text outputs for nbval
	$(BIN)/python tests/pages/refresh.py

rivals: .rivals/ready  ## a second environment in .rivals: the book's, and the packages that benchmarks compare with

lock: $(UV)  ## resolve pyproject.toml anew into requirements.lock
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --upgrade \
	    --quiet --custom-compile-command "make lock" --output-file requirements.lock
	printf '%s\n' uv 'setuptools>=70,<74' numpy | $(UV) pip compile - --constraints requirements.lock --universal \
	    --python-version 3.11 --generate-hashes --upgrade --quiet --no-annotate --custom-compile-command "make lock" \
	    --output-file build.lock

clean:  ## remove the environment and everything built, the map store included
	rm -rf .venv .rivals .uv build

$(UV):
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.11" if not (3, 11) <= sys.version_info < (3, 14) else 0)'
	$(PYTHON) -m venv .uv
	sed -n '/^uv==/,/[^\\]$$/p' build.lock > .uv/uv.txt
	.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .uv/uv.txt

.venv/ready: requirements.lock build.lock pyproject.toml | $(UV)
	test -x $(BIN)/python || $(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv
	$(UV) pip sync --quiet --require-hashes --build-constraints build.lock requirements.lock
	$(UV) pip install --quiet --no-deps --build-constraints build.lock --editable .
	touch $@

# pip, not uv, for the rivals: their versions of CUDA are no part of ours, and pip prefers a local build of PyTorch.
.rivals/ready: export VIRTUAL_ENV := $(CURDIR)/.rivals
.rivals/ready: requirements.lock benchmarks/requirements.txt | $(UV)
	test -x .rivals/bin/python || $(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .rivals
	$(UV) pip sync --quiet --require-hashes --build-constraints build.lock requirements.lock
	$(UV) pip install --quiet --no-deps --build-constraints build.lock --editable .
	$(UV) pip install --quiet pip
	.rivals/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	$(UV) pip install --quiet "setuptools>=70,<74"  # PyTorch asks for more than JaxPM and LensTools can live with
	touch $@
