# The four commands people need. Everything is installed into .venv from the pinned requirements.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
BUILT  := $(VENV)/.compiled
TYPED  := $(shell find src -name '*.pxd')
HOT    := setup.py $(TYPED) $(TYPED:.pxd=.py)

.PHONY: demo test check bench prove-bench gate-bench screenshots clean

demo: $(BUILT) assets
	$(BIN)/interlock demo $(if $(filter delivery 2,$(TOUR)),--delivery,$(if $(TOUR),--tour,))

test: $(BUILT) assets
	tools/debian-packages
	tools/regression-sql
	# File by file, in their order: the tests of a file share what they start.
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
	tools/test-uncompiled -n 2 --dist loadfile

check: $(BUILT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(STAMP): pyproject.toml requirements/lock.txt
	$(PYTHON) -m venv $(VENV)
	# The lock is complete: pip is not to look for more, which its older versions do for extras, past the pins.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements/lock.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# What was changed since is compiled anew: a stale compiled file would hide the change.
$(BUILT): $(STAMP) $(HOT)
	$(BIN)/python setup.py -q build_ext --inplace
	touch $@

# Scripts of others for the console's pages; without npm the pages work, and do not update by themselves.
.PHONY: assets
assets:
	tools/console-assets

# A picture of each page of the console, in both themes and on a phone, in build/screenshots; some are kept in docs.
screenshots: $(BUILT) assets
	tools/debian-packages
	$(BIN)/python -m tests.web.console.screenshots build/screenshots
	@for kept in docs/pictures/console/*; do cp build/screenshots/$$(basename $$kept) $$kept; done

bench: $(BUILT)
	tools/debian-packages postgresql-15 pgbouncer haproxy
	$(BIN)/python -m bench.cut
	$(BIN)/python -m bench.statements $(BENCH)
	$(BIN)/python -m bench.ledger

gate-bench: $(BUILT)
	$(BIN)/python -m bench.gate

prove-bench: $(BUILT)
	$(BIN)/python -m bench.prove $(DATA)

clean:
	rm -rf $(VENV) .demo .demo-tour
