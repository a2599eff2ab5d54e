# Two commands on a fresh machine: `make demo` and `make test`. Both make .venv once and use it again.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 2

.PHONY: docs-figures weights demo test test-slow test-all test-realdata faults mutants licences sbom lint bench bench-large docs completions clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: icectl needs Python 3.11 or newer"; echo "hint: make PYTHON=python3.12 demo"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

$(VENV)/.installed-mutants: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check cosmic-ray
	@touch $@

demo: $(VENV)/.installed          ## all five verbs and the report on the synthetic glacier
	$(BIN)/icectl demo

test: $(VENV)/.installed-test lint ## the whole suite, in parallel
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile

test-slow: $(VENV)/.installed-test ## kills, damage, signals, real wheels: minutes of work, fifty faults of each kind (AGAIN=1: what failed last)
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal -m "slow and not bench" \
	  $(if $(AGAIN),--last-failed --last-failed-no-failures none)

test-all: $(VENV)/.installed-test lint ## with the slow ones
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile -m "not bench"

faults: $(VENV)/.installed-test   ## a thousand random signals, five hundred damaged files, hostile input: hours
	ICECTL_FAULT_KILLS=200 ICECTL_FAULT_GROUPS=20 ICECTL_FAULT_SIGNALS=1000 ICECTL_FAULT_DAMAGE=500 ICECTL_FAULT_EXAMPLES=1000 ICECTL_FAULT_SHAPES=1 \
	  $(BIN)/pytest -q -s -m "faults or slow" tests/faults tests/core/test_export_safe.py

mutants: $(VENV)/.installed-mutants  ## 60 mutants of ROOM=... against its tests; call again to go on
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tests/mutants.py $(ROOM)

licences: $(VENV)/.installed      ## licences of all that icectl stands on; fails on one that is not known to fit
	$(BIN)/python .ci/supply_chain.py --licences

sbom: $(VENV)/.installed          ## what icectl stands on, as CycloneDX, into sbom.json
	$(BIN)/python .ci/supply_chain.py --sbom sbom.json

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-bench   ## ratios against other tools, into benchmarks/RESULTS.md
	$(BIN)/python benchmarks/run_all.py

bench-large: $(VENV)/.installed    ## thousands of scenes and outlines, large scenes: many minutes
	$(BIN)/python benchmarks/run_all.py loads_series loads_region loads_scene

weights: $(VENV)/.installed       ## the weights that ship, again, into weights-new/ (DATA=folder of measurements)
	$(BIN)/python benchmarks/studies/make_weights.py --data $(or $(DATA),../shared/data)

docs: $(VENV)/.installed-docs     ## the documentation, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-figures: $(VENV)/.installed  ## the pictures that scripts draw, and the tutorials' notebooks
	$(BIN)/python docs/images/architecture.py
	$(BIN)/python docs/images/report.py
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python docs/images/tutorials.py

completions: $(VENV)/.installed   ## shell completion scripts
	$(BIN)/icectl completions bash > completions/icectl.bash
	$(BIN)/icectl completions zsh > completions/_icectl
	$(BIN)/icectl completions fish > completions/icectl.fish

clean:
	rm -rf $(VENV) site dist build
