# Every target sets up what it needs, in .venv: git, make and Python >= 3.11 with venv are enough to begin.

PYTHON ?= python3
# Test processes at once. More than two cores: the tests wait for servers that are slow on purpose.
WORKERS ?= 4

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PIP := -m pip --disable-pip-version-check -qq

# Every test process loads the same modules: compiled once is enough, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lint types format bench build lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## the reference server kept to the contract, and caught with a defect
	@$(PY) -m contract demo

test: $(READY) ## every test; COVERAGE=1 measures them too, and fails below the threshold
ifdef COVERAGE
	@$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest -q -n $(WORKERS) --dist worksteal
	@$(PY) -m coverage combine -q
	$(PY) -m coverage report
else
	$(PY) -m pytest -q -n $(WORKERS) --dist worksteal
endif

lint: $(READY) ## ruff: rules and format
	$(PY) -m ruff check
	$(PY) -m ruff format --check

types: $(READY) ## mypy, strict
	$(PY) -m mypy

format: $(READY) ## mends what ruff can mend
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

bench: $(READY) ## requests and seconds of a run against the reference server
	@$(PY) -m tests.bench

build: $(READY) ## the sdist and, from it, the wheel, in dist/
	@rm -rf dist
	$(PY) -m build --no-isolation -q

lock: ## requirements.lock anew: the newest that the ranges in pyproject.toml allow
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	$(PYTHON) -m venv "$$dir" && \
	"$$dir/bin/python" $(PIP) install 'pip>=25.1' && \
	"$$dir/bin/python" $(PIP) install . --group dev && \
	{ echo '# What make and CI install. Written by "make lock".'; \
	  "$$dir/bin/python" -m pip freeze -qq --exclude pytest-contract | LC_ALL=C sort -f -t = -k 1,1; } > "$$dir/lock" && \
	cp "$$dir/lock" requirements.lock

clean: ## removes all that make has made
	rm -rf $(VENV) dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find contract tests -name __pycache__ -type d -prune -exec rm -rf {} +

# hatchling is in the lock, so that building here fetches nothing that is not pinned.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo 'Python 3.11 or newer is needed. Name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@echo 'Setting up $(VENV): once, about a minute.' >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PY) $(PIP) install -r requirements.lock
	@$(PY) $(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
