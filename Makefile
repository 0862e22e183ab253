# One virtual environment, made once and again when what is to be installed changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed
# Other speech recognition engines, for bench-peers: torch and transformers of their own releases,
# which nothing of the product may be found to depend on.
PEERS := .venv-peers
PEERS_INSTALLED := $(PEERS)/.installed

.PHONY: transcribe up status test test-slow chaos lint bench bench-api bench-channels bench-peers bench-search bench-system format clean

transcribe: $(INSTALLED)
	@$(BIN)/ytcaption transcribe $${URL:+"$$URL"}

up: $(INSTALLED)
	@exec $(BIN)/ytcaption up

status: $(INSTALLED)
	@$(BIN)/ytcaption status

# By file on a few processes: much of a test's time is a server's start.
test: $(DEVELOPED)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 3 --dist loadfile --no-loadscope-reorder

# What takes long: storms, servers that are killed, runs that are ended in each stage, databases that are away.
test-slow: $(DEVELOPED)
	$(BIN)/python -m pytest -m slow

# Everything is killed while two hundred requests come: tests/chaos/README.md. ARGS='--seed 8' is another one.
chaos: $(DEVELOPED)
	$(BIN)/python -m tests.chaos.run $(ARGS)

lint: $(DEVELOPED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

bench: $(DEVELOPED)
	$(BIN)/python -m benchmarks.run
	$(MAKE) bench-peers

# Options: make bench-peers ARGS='--audio FOLDER --models base'
bench-peers: $(DEVELOPED) $(PEERS_INSTALLED)
	$(BIN)/python -m benchmarks.peers $(ARGS)
	$(PEERS)/bin/python -m benchmarks.peer_report

bench-api: $(DEVELOPED)
	$(BIN)/python -m benchmarks.api

# Options: make bench-search ARGS='--transcripts 1000 10000 100000' LAKE_ARGS='--transcripts 1000';
# 10,000 take some ten minutes each.
bench-search: $(DEVELOPED)
	$(BIN)/python -m benchmarks.search_quality
	$(BIN)/python -m benchmarks.search_index
	$(BIN)/python -m benchmarks.lake $(LAKE_ARGS)
	$(BIN)/python -m benchmarks.search $(ARGS)

# Ten thousand items listed and queued; nobody hears them.
bench-channels: $(DEVELOPED)
	$(BIN)/python -m benchmarks.channels $(ARGS)

# Two hundred recordings by POST, beside a bare loop; docs/throughput.md says how long it takes.
bench-system: $(DEVELOPED)
	$(BIN)/python -m benchmarks.throughput --write docs/benchmarks

format: $(DEVELOPED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "ytcaption needs Python 3.11 or newer; name one by PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "No virtual environment: install your system's python3-venv package."; exit 1; }

$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV), once; this takes some minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(DEVELOPED): $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# One by one where all at once does not go: an engine that cannot be had is named in the table.
$(PEERS_INSTALLED): benchmarks/peers.txt
	@echo "Installing other engines into $(PEERS), once; this takes some minutes."
	@$(PYTHON) -m venv $(PEERS)
	@pip="$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps"; \
		$$pip -r $< || sed 's/ *#.*//; /^$$/d' $< | xargs -n 1 $$pip || true
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS) dist build .pytest_cache .ruff_cache .hypothesis
