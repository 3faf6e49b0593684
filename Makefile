# Only git, make and Python 3.11 to 3.13 are taken for granted; everything else comes from pyproject.toml and uv.lock.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
PY := .venv/bin/python
# whatever is started here imports the library of this folder, also where the environment was made for another copy
export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))
UV := .venv/bin/uv
# Tests run in so many processes, one more than two cores, since some wait for a page or a process; each works with one
# thread. A file's tests stay together, longest files first (tests/conftest.py).
WORKERS ?= 3
PYTEST := $(PY) -m pytest -n $(WORKERS) --dist loadfile

# make rerun CHAPTER=approach ALPHA=0.7 [DATASET=digits] [SEED=1] [MODEL=resnet20] [RECIPE=paper]; lists in quotes: ALPHA="0.7 -0.7".
# Any other parameter of any chapter: SET="epochs=2 variants=plain,pgd-1".
# Their names count in lower case too. What is given to make and means nothing is refused; names with a _ are for the environment.
ASKED := CHAPTER ALPHA SEED DATASET MODEL RECIPE SET
asked := chapter alpha seed dataset model recipe set
typed = $(filter command,$(firstword $(origin $(1))))
ALIKE := $(join $(ASKED:=:),$(asked))
$(foreach p,$(subst :, ,$(ALIKE)),$(if $(filter $(p),$(asked)),$(if $(call typed,$(p)),$(eval $(WAS) := $$($(p)))),$(eval WAS := $(p))))
GIVEN := $(foreach v,$(.VARIABLES),$(if $(call typed,$(v)),$(v)))
KNOWN := $(if $(filter rerun,$(MAKECMDGOALS)),$(ASKED) $(asked)) PYTHON SHELL WORKERS NAME
USELESS := $(strip $(foreach v,$(GIVEN),$(if $(findstring _,$(v))$(filter $(v),$(KNOWN)),,$(v))))
$(if $(USELESS),$(error error: $(USELESS) means nothing here; make rerun takes $(ASKED)))
quoted = '$(subst ','\'',$(strip $(1)))'
RERUN = $(foreach v,$(filter-out CHAPTER,$(ASKED)),$(if $(strip $($(v))),--$(word 2,$(subst :, ,$(filter $(v):%,$(ALIKE))))=$(call quoted,$($(v)))))

.PHONY: help env book pdf lint test test-fast rerun chapters lab bench lock clean

help:
	@echo 'make book                                          the book from cached runs: _build/html/index.html'
	@echo 'make pdf                                           the same on paper, printed by Chromium: _build/book.pdf'
	@echo 'make test                                          unit tests and every cell of every chapter; WORKERS=8 on a larger machine'
	@echo 'make test-fast                                     the unit tests that train nothing and build nothing: about three minutes on two cores'
	@echo 'make lint                                          style, types, and that imports run downwards'
	@echo 'make rerun CHAPTER=approach ALPHA=0.7              a chapter with one more alpha; DATASET=digits trains for about a minute'
	@echo 'make lab                                           JupyterLab on the chapters; what it needs is installed by the first call'
	@echo 'make chapters                                      execute the chapters and publish their notebooks'
	@echo 'make bench                                         speed against what people would use instead; NAME=train-step for one of them'
	@echo 'python -m lib --help (in .venv)                    everything else'

env: .venv/synced

.venv/synced: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { echo "error: Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1); name another with PYTHON=python3.12" >&2; exit 2; }
	test -x $(PY) || $(PYTHON) -m venv .venv
	@# a .venv without pip, such as a system without ensurepip leaves behind, is mended or made anew
	test -x $(UV) || $(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	test -x $(UV) || $(PY) -m pip install --quiet --disable-pip-version-check uv==0.13.8
	@echo 'installing what uv.lock names into .venv: the first time about 3 GB are downloaded, 6 GB on disk' >&2
	@# A terminal sees how far it is. Compiled once and for all, as pip does: where PYTHONDONTWRITEBYTECODE is set, as in many
	@# containers, each process would compile what it imports anew, for up to five seconds.
	UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --frozen --inexact --compile-bytecode $(shell test -t 2 || echo --quiet) --extra autoattack --python $(PY)
	touch $@

book: env
	@$(PY) -m lib book

pdf: env
	@$(PY) -m lib pdf

chapters: env
	@$(PY) -m lib chapters

test: env
	$(PYTEST) --no-loadscope-reorder tests
	@# conftest.py has its kernels run as those of the book
	PYTHONUTF8=1 $(PYTEST) --nbval --nbval-cell-timeout=600 index.ipynb chapters

lint: env
	.venv/bin/ruff check conftest.py lib tests benchmarks chapters
	.venv/bin/ruff format --check conftest.py lib tests benchmarks chapters
	.venv/bin/lint-imports
	.venv/bin/mypy

test-fast: env
	$(PYTEST) --no-loadscope-reorder -m "not slow" tests

bench: env
	@UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --frozen --inexact --quiet --extra bench --python $(PY)
	@$(PY) -m benchmarks $(NAME)

rerun: env
	@test -n $(call quoted,$(CHAPTER)) || { echo 'error: say which chapter: make rerun CHAPTER=approach ALPHA=0.7' >&2; exit 2; }
	@$(PY) -m lib rerun $(call quoted,$(CHAPTER)) $(RERUN)

lab: env
	@UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --frozen --inexact --quiet --extra lab --python $(PY)
	@$(PY) -m lib runs beside
	@RUNS_DIR=reruns .venv/bin/jupyter lab chapters

lock:
	$(UV) lock

clean:
	rm -rf _build .cache .pytest_cache
