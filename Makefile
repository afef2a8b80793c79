# Each target does its own set-up: system packages (when root), the virtual environment, fixtures.

VENV := .venv
STAMP := $(VENV)/.made
PYTHON = $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
# One more than cores, as many tests wait for an application or a disk.
WORKERS ?= $(shell expr $$(nproc) + 1)

# What the tests and the demonstration run beside Python: image tools as judges, a registry, sandboxes.
PACKAGES := apache2-utils attr bubblewrap ca-certificates db-util debian-archive-keyring docker-registry gcc gpg \
	libarchive-tools libc6-dev libcap2-bin mmdebstrap musl-tools python3 python3-venv qemu-user rpm skopeo strace uidmap umoci \
	util-linux zstd

.PHONY: help dev lint test bench demo check-readme fixtures profiles system clean
.DEFAULT_GOAL := help

help:
	@echo "make dev           the virtual environment, with careen in it"
	@echo "make lint          ruff, mypy, import-linter"
	@echo "make test          lint, then every test"
	@echo "make demo          harden a real redis image and start it"
	@echo "make bench         careen against a floor and against umoci"
	@echo "make check-readme  whether the README's help texts and transcript are true"
	@echo "make fixtures      build the real images now rather than on first use"
	@echo "make profiles      record the images' profiles again"
	@echo "make system        the Debian packages that all this needs"
	@echo "make clean         remove what the others made"

dev: $(STAMP)

# A phony prerequisite after the bar is made first, and never makes the stamp stale.
$(STAMP): pyproject.toml | system
	@echo "making $(VENV)"
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer on PATH" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@

system:
	@missing=$$(for p in $(PACKAGES); do \
		dpkg-query --show --showformat='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || echo $$p; \
	done); \
	test -n "$$missing" || exit 0; \
	if [ "$$(id -u)" != 0 ]; then \
		echo "missing Debian packages; as root: apt-get install --no-install-recommends" $$missing >&2; exit 1; \
	fi; \
	echo "installing" $$missing; \
	apt-get update --quiet=2 && \
	DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends $$missing >/dev/null

lint: $(STAMP)
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

# Built before, so that no test's time limit is spent on it.
test: lint
	@$(VENV)/bin/python -m fixtures.build redis nginx flask >/dev/null
	@$(VENV)/bin/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

bench: $(STAMP)
	@$(VENV)/bin/python -m bench
	@$(VENV)/bin/python -m bench.recording

demo: $(STAMP)
	@$(VENV)/bin/python -m fixtures.demo

check-readme: $(STAMP)
	@$(VENV)/bin/python -m tests.readme

fixtures: $(STAMP)
	@$(VENV)/bin/python -m fixtures.build redis nginx flask postgres

profiles: $(STAMP)
	@$(VENV)/bin/python -m fixtures.record

clean:
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
