# The daily commands. Each does its own set-up; `make` alone lists them.
UV := scripts/uv
RUN := $(UV) run --frozen --all-packages --all-extras
PYTEST_ARGS ?=

.PHONY: help demo test test-fast lint format crds cluster bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: ## examples/hello.yaml becomes out/hello.mp4, here, without GPU and cluster
	$(UV) run --frozen --no-dev --package talkingvideo-worker --extra speech talkingvideo run examples/hello.yaml --out out

test: ## unit, media and control-plane tests; with REAL_NODE=1 (root) the real-node tests too
	$(RUN) pytest $(PYTEST_ARGS)

test-fast: ## unit tests without torch: a minute
	$(RUN) pytest -m "not media and not model and not control_plane and not real_node" $(PYTEST_ARGS)

lint: ## formatting, lint, types, layers: what CI asks before the tests
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports

format: ## write the formatting
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

crds: ## write what is generated from the models: the resource and its copies, the chart's schema, docs/
	@mkdir -p .tools
	$(RUN) talkingvideo-operator crd > .tools/crd.yaml
	cp .tools/crd.yaml crds/talkingvideo.yaml
	cp .tools/crd.yaml charts/talkingvideo/files/talkingvideo.yaml
	cp .tools/crd.yaml manifests/base/crd.yaml
	$(RUN) python charts/values_schema.py
	$(RUN) python docs/generate.py

cluster: ## build the test cluster's programs and (as root) the images ahead, into the cache
	$(RUN) python -m tests.cluster.cli build-binaries
	@if [ "$$(id -u)" = 0 ]; then $(RUN) python -m tests.cluster.cli build-images; else echo "images are built by root only"; fi

bench: ## every figure of docs/benchmarks.md
	@for script in bench/*.py; do case $$script in bench/_*) ;; *) echo "## $$script"; $(RUN) python $$script || exit 1;; esac; done

clean: ## what the commands above made here
	rm -rf out .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
