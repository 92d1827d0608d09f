# Every target does its own set-up: a virtual environment in .venv, and system packages where the
# target needs them (as root or with sudo; otherwise it says what is missing).

ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && exit; \
	done; echo python3)
endif
BIN := .venv/bin
PATHS := dicom_node viewer web sample_data tests benchmarks lifeboat.py
WORKERS ?= 3
# on a machine that others share a peer may be late: one more try there, and what needed it is named, with why
RERUNS ?= $(if $(CI),1,0)

.PHONY: help demo run test lint test-browser test-faults bench screenshots clean
help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

demo: .venv/ready ## Play an outage with a practice scanner and a practice PACS, then look around.
	$(BIN)/lifeboat demo

run: .venv/ready ## Run a node with the default settings.
	$(BIN)/lifeboat run

test: .venv/ready-test lint ## Check everything: style, types, and the tests against real peers.
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --reruns $(RERUNS) -raR

lint: .venv/ready-test ## Check style and types.
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check --quiet $(PATHS)
	$(BIN)/mypy
	tsc --project tests/js

test-browser: .venv/ready-test ## Drive every page in the system's Chromium, the long forms too.
	LIFEBOAT_BROWSER=full $(BIN)/pytest -m "browser or full_browser"

test-faults: .venv/ready-test ## Kill, fill, slow down and cut off the receiving process, for an hour.
	LIFEBOAT_FAULTS=full $(BIN)/pytest tests/faults tests/benchmarks tests/end_to_end/test_crash.py \
		tests/dicom_node/test_misbehaviour.py tests/dicom_node/test_eviction.py \
		tests/dicom_node/test_long_outage.py tests/end_to_end/test_killed_drain.py \
		tests/end_to_end/test_killed_reissue.py

bench: .venv/ready-test ## Measure against DCMTK and Orthanc, side by side, in one run.
	$(BIN)/python -m benchmarks

screenshots: .venv/ready-test ## Take the pictures in docs/images anew.
	LIFEBOAT_SCREENSHOTS=docs/images $(BIN)/pytest tests/end_to_end/test_browser_story.py

.venv/ready: setup.cfg pyproject.toml
	@PYTHON=$(PYTHON) .ci/system-packages demo
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/ready-test: .venv/ready .ci/system-packages
	@PYTHON=$(PYTHON) .ci/system-packages test
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

clean: ## Remove what was built here, never data.
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
