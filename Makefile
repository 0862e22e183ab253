# One virtual environment, made once and again when what is to be installed changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed
DOCUMENTED := $(VENV)/.documented
# Other speech recognition engines, for bench-peers: torch and transformers of their own releases,
# which nothing of the product may be found to depend on.
PEERS := .venv-peers
PEERS_INSTALLED := $(PEERS)/.installed
# Tools that look for weaknesses, with dependencies of their own.
AUDIT := .venv-audit
AUDIT_INSTALLED := $(AUDIT)/.installed
PACKAGES := api resources sensors ytcaption ytcaption_assets

# Images of containers often set it. Then each of a test run's thousand processes compiles its imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := transcribe
.PHONY: help transcribe up status docs docs-serve docs-reference docs-screenshots test test-unit test-all test-slow coverage mutants test-trust rehearse chaos soak lint audit sbom words hooks bench bench-api bench-channels bench-peers bench-search bench-system format clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

transcribe: $(INSTALLED)  ## Transcribe the bundled sample, or URL='https://...'
	@$(BIN)/ytcaption transcribe $${URL:+"$$URL"}

up: $(INSTALLED)  ## Run everything: Postgres, Dagster, API and pages
	@exec $(BIN)/ytcaption up

status: $(INSTALLED)  ## Show what runs, and the queue
	@$(BIN)/ytcaption status

# The site in site/: a broken link, a page that nothing leads to or a wrong anchor fails.
docs: $(DOCUMENTED)  ## Build the documentation in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The site on http://127.0.0.1:8001, made again whenever a page changes.
docs-serve: $(DOCUMENTED)  ## Show the documentation on 127.0.0.1:8001
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8001

# The pages of docs/reference that follow from the code. A test compares them.
docs-reference: $(DEVELOPED)  ## Write the generated pages of the reference
	$(BIN)/python -m docs.tools.reference

# The pictures in docs/images, of a real installation; needs Chromium.
docs-screenshots: $(DOCUMENTED)  ## Take the pictures of the documentation
	$(BIN)/python -m docs.tools.screenshots

# By file on four processes, whatever the cores: much of a test's time is a server's start.
PYTEST_ARGUMENTS := -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/python $(PYTEST_ARGUMENTS)

# Only the files that have such tests are imported.
test-unit: $(DEVELOPED)  ## Run the tests that need no Postgres, Dagster, model or process: under a minute
	$(PYTEST) --numprocesses 2 -m 'unit and not long and not slow' \
		$$(grep -rlE 'mark\.unit\b' tests --include='test_*.py')

test: $(DEVELOPED)  ## Run the tests but the long ones: five minutes
	$(PYTEST) -m 'not long and not slow and not network'

test-all: $(DEVELOPED)  ## Run the tests with the long ones, as CI does
	$(PYTEST)

# Statements and branches that the tests execute, child processes included; slower than `make test`.
# Each file with lines that are missed: .venv/bin/coverage html.
coverage: export COVERAGE_FILE := $(CURDIR)/.coverage
coverage: $(DEVELOPED)  ## Run what make test runs and show what it does not execute
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST_ARGUMENTS) -m 'not long and not slow and not network'; status=$$?; \
		$(BIN)/coverage combine --quiet; $(BIN)/coverage report && exit $$status

# CONTRIBUTING.md says how to read the result. Options: make mutants ARGS="--max-children 1 '*ttml*'"
mutants: $(DEVELOPED)  ## Change the domain's rules one by one and show which changes no test notices
	$(BIN)/mutmut run $(ARGS)
	$(BIN)/python -m tests.support.mutation_scores

# What CI has no time for: load, servers that are killed, repetitions with S3 or another launcher,
# measurements. An hour. On two processes, since much of it measures times.
test-slow: $(DEVELOPED)  ## Run the tests for which CI has no time: an hour
	$(PYTEST) --numprocesses 2 -m slow

# Each security and reliability rule with its hostile inputs and faults: tests/security/README.md.
test-trust: $(DEVELOPED)  ## Run the tests of all security and reliability rules
	$(PYTEST) --numprocesses 3 $$($(BIN)/python -m tests.support.trust)

# Before each release. ARGS='--break restore' spoils that step on purpose, and it must fail.
rehearse: $(DEVELOPED)  ## Install, upgrade the previous version's work, restore it and go back
	$(BIN)/python -m tests.rehearsal.run $(ARGS)

# Everything is killed while two hundred requests come: tests/chaos/README.md. ARGS='--seed 8' is another one.
chaos: $(DEVELOPED)  ## Kill every process while requests arrive, and check the result
	$(BIN)/python -m tests.chaos.run $(ARGS)

# A day of it, one request a minute. ARGS='--minutes 10 --every 5 --plot soak.png' is a short one.
soak: $(DEVELOPED)  ## Kill and disturb for a day, and check that nothing grows
	$(BIN)/python -m tests.chaos.soak $(ARGS)

lint: $(DEVELOPED)  ## Check style, types, imports and words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/python -m tests.support.words --check

# Not part of lint: it takes a minute. Options: make audit OSV=PATH of a database in OSV's format.
audit: $(DEVELOPED) $(AUDIT_INSTALLED)  ## Look for weaknesses: bandit, semgrep, known vulnerabilities of packages
	$(AUDIT)/bin/bandit --quiet --configfile pyproject.toml --recursive $(PACKAGES)
	$(AUDIT)/bin/semgrep scan --quiet --error --metrics off --disable-version-check --config .ci/semgrep.yaml $(PACKAGES)
	$(BIN)/python -m tests.support.vulnerabilities $(if $(OSV),--database '$(OSV)')

# Every pinned package, tools of development included (CycloneDX).
sbom: $(AUDIT_INSTALLED)  ## Write the bill of materials sbom.cdx.json
	$(AUDIT)/bin/cyclonedx-py requirements constraints.txt --pyproject pyproject.toml \
		--mc-type application --output-reproducible --output-file sbom.cdx.json

# Options: make words WORDS=told
words: $(DEVELOPED)  ## Show each line with a word to avoid (docs/glossary.md)
	@$(BIN)/python -m tests.support.words $(WORDS)

hooks: $(DEVELOPED)  ## Install the git hooks of .pre-commit-config.yaml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pre-commit
	$(BIN)/pre-commit install

bench: $(DEVELOPED)  ## Measure accuracy and speed beside plain faster-whisper
	$(BIN)/python -m benchmarks.run
	$(MAKE) bench-peers

# Options: make bench-peers ARGS='--audio FOLDER --models base'
bench-peers: $(DEVELOPED) $(PEERS_INSTALLED)  ## Measure other engines on the same audio
	$(BIN)/python -m benchmarks.peers $(ARGS)
	$(PEERS)/bin/python -m benchmarks.peer_report

bench-api: $(DEVELOPED)  ## Measure the API under a hundred clients
	$(BIN)/python -m benchmarks.api

# Options: make bench-search ARGS='--transcripts 1000 10000 100000' LAKE_ARGS='--transcripts 1000';
# 10,000 take some ten minutes each.
bench-search: $(DEVELOPED)  ## Measure search and the lake
	$(BIN)/python -m benchmarks.search_quality
	$(BIN)/python -m benchmarks.search_index
	$(BIN)/python -m benchmarks.lake $(LAKE_ARGS)
	$(BIN)/python -m benchmarks.search $(ARGS)

# Ten thousand items listed and queued; none is transcribed.
bench-channels: $(DEVELOPED)  ## Measure channels of thousands of items
	$(BIN)/python -m benchmarks.channels $(ARGS)

# Two hundred recordings by POST, beside a bare loop: docs/benchmarks/throughput.md.
bench-system: $(DEVELOPED)  ## Measure throughput by POST
	$(BIN)/python -m benchmarks.throughput --write docs/benchmarks

format: $(DEVELOPED)  ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "ytcaption needs Python 3.11 or newer; name one by PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "No virtual environment: install your system's python3-venv package."; exit 1; }

# uv installs several times as fast as pip, which steps in where uv cannot be had or fails. uv does
# not read pip's configuration, so the package index that pip uses is passed on.
define install
@index="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}"; \
	[ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
	pip="$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt"; \
	{ [ -x $(BIN)/uv ] || $$pip uv >/dev/null 2>&1; } \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.$(1)' 2>/dev/null \
		|| $$pip -e '.$(1)'
@touch $@
endef

$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV), once; this takes a minute."
	$(call install,)

$(DEVELOPED): $(INSTALLED)
	$(call install,[dev])

$(DOCUMENTED): $(DEVELOPED)
	$(call install,[docs])

# One by one where all at once does not go: an engine that cannot be had is named in the table.
$(PEERS_INSTALLED): benchmarks/peers.txt
	@echo "Installing other engines into $(PEERS), once; this takes some minutes."
	@$(PYTHON) -m venv $(PEERS)
	@pip="$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps"; \
		$$pip -r $< || sed 's/ *#.*//; /^$$/d' $< | xargs -n 1 $$pip || true
	@touch $@

$(AUDIT_INSTALLED): .ci/audit.txt
	@echo "Installing tools into $(AUDIT), once; this takes a minute."
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

clean:  ## Remove virtual environments and build outputs
	rm -rf $(VENV) $(PEERS) $(AUDIT) dist build site sbom.cdx.json .pytest_cache .ruff_cache .hypothesis mutants .coverage .coverage.* htmlcov
