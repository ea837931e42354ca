# The daily commands. Each does its own set-up; `make` alone lists them.
UV := scripts/uv
PYTEST_ARGS ?=
PYTHON ?= 3.13
REPOSITORY ?= OWNER/NAME
MUTANTS ?= 1000

# Everything, with torch (3 GB), in .venv; without torch (0.8 GB) in .venv-fast.
RUN := $(UV) run --frozen --all-packages --all-extras
FAST := UV_PROJECT_ENVIRONMENT=.venv-fast $(UV) run --frozen
# pyenv's own folders come first: its shims name versions that they refuse to run.
OTHER := PATH="$(addsuffix :,$(firstword $(wildcard $(HOME)/.pyenv/versions/$(PYTHON).*/bin)))$$PATH" UV_PYTHON_DOWNLOADS=never
FAST_TESTS := -m "not browser and not media and not model and not s3 and not harness and not control_plane and not real_node"

# What imports torch or its companions. mypy follows imports into it, but reports nothing there.
WITH_TORCH := engines/infinitetalk/|speech/kokoro|weights/fetch|^tests/(bench|worker/infinitetalk)/|tests/worker/(speech/t.*kokoro|stages/test_loras|weights/test_(fetch|update))|^scripts/update_weights

.PHONY: help demo serve test test-fast test-python find-python lint lint-all types layers format crds fuzz cluster bench \
	sbom plugin audit update-images update-weights release-check clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

demo: ## examples/hello.yaml becomes out/hello.mp4, here, without GPU and cluster
	$(UV) run --frozen --no-dev --package talkingvideo-worker --extra speech talkingvideo run examples/hello.yaml --out out

serve: ## the page and the API on this machine's http://127.0.0.1:8000, over out/serve: make serve ARGS="--port 8080"
	$(UV) run --frozen --no-dev talkingvideo-gateway serve --local out/serve $(ARGS)

test: ## every test; with REAL_NODE=1 (root) the real-node tests too
	$(RUN) pytest $(PYTEST_ARGS)

test-fast: ## unit tests without torch and without anything to build: a minute
	$(FAST) pytest $(FAST_TESTS) $(PYTEST_ARGS)

test-python: ## the same with another Python: make test-python PYTHON=3.13
	$(OTHER) UV_PROJECT_ENVIRONMENT=.venv-$(PYTHON) $(UV) run --frozen --python $(PYTHON) pytest $(FAST_TESTS) $(PYTEST_ARGS)

find-python: # whether test-python finds that Python: make find-python PYTHON=3.13
	@$(OTHER) $(UV) python find --no-project $(PYTHON)

lint: types layers ## formatting, lint, types and layers, without torch
	$(FAST) ruff format --check .
	$(FAST) ruff check .

lint-all: ## the same with the types of everything: what CI asks before the tests
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports

types: ## types of what needs no torch
	$(FAST) mypy --cache-dir .mypy_cache-fast --follow-imports silent --exclude '$(WITH_TORCH)' \
		api/src cli/src clients/src gateway/src operator/src worker/src charts docs examples scripts tests

layers: ## which package may import which
	$(FAST) lint-imports

format: ## write the formatting
	$(FAST) ruff format .
	$(FAST) ruff check --fix .

fuzz: ## damaged media, new ones each time: make fuzz MUTANTS=5000 SEED=1
	$(FAST) python -m tests.worker.media.fuzz --mutants $(MUTANTS) $(if $(SEED),--seed $(SEED))

crds: ## write what is generated: the resource and its copies, the chart's schema, docs/, the version's and licences' copies
	@mkdir -p .tools
	$(FAST) talkingvideo-operator crd > .tools/crd.yaml
	cp .tools/crd.yaml crds/talkingvideo.yaml
	cp .tools/crd.yaml charts/talkingvideo/files/talkingvideo.yaml
	cp .tools/crd.yaml manifests/base/crd.yaml
	$(FAST) python charts/values_schema.py
	$(FAST) python docs/generate.py
	$(FAST) python scripts/release.py write

cluster: ## build the test cluster's programs and (as root) the images ahead, into the cache
	$(RUN) python -m tests.cluster.cli build-binaries
	@if [ "$$(id -u)" = 0 ]; then $(RUN) python -m tests.cluster.cli build-images; else echo "images are built by root only"; fi

bench: ## every figure of docs/benchmarks.md
	@for script in bench/*.py; do echo "## $$script"; $(RUN) --group bench python $$script || exit 1; done

sbom: ## out/sbom.cdx.json: the locked Python packages as CycloneDX, from uv.lock alone
	@mkdir -p out
	$(UV) export --frozen --offline --quiet --all-packages --all-extras --no-dev --format cyclonedx1.5 --output-file out/sbom.cdx.json

plugin: ## the kubectl plugin for krew, in out/: make plugin REPOSITORY=OWNER/NAME
	$(FAST) python -m scripts.plugin $(REPOSITORY)

audit: ## known vulnerabilities of the locked packages; asks osv.dev (ARGS="--service-url URL": another)
	$(UV) audit --frozen $(ARGS)

update-images: ## write the images' present digests into the Dockerfiles and the workflow; asks their registry
	$(FAST) python -m scripts.update_images

update-weights: ## pin what is not pinned of the published weights; ARGS=--newest pins newer commits; asks the hub
	$(RUN) python -m scripts.update_weights $(ARGS)

release-check: ## say what keeps this checkout from being released
	@python3 scripts/release.py check

clean: ## what the commands above made here
	rm -rf out .venv* .tools .mypy_cache* .ruff_cache .pytest_cache .hypothesis .import_linter_cache
