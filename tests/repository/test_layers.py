"""Every contract of import-linter refuses what it is there to refuse.

Each test adds one forbidden import, or one module that no layer names, to a copy of the sources.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("api/src", "cli/src", "clients/src", "gateway/src", "operator/src", "worker/src")

FORBIDDEN_IMPORTS = [
    # contract, module, what it may not import
    ("distributions", "talkingvideo_api.spec", "talkingvideo_clients.kube.objects"),
    ("distributions", "talkingvideo_api.plan", "talkingvideo_worker.files"),
    ("distributions", "talkingvideo_clients.kube.api", "talkingvideo_operator.settings"),
    ("distributions", "talkingvideo_clients.stores.base", "talkingvideo_worker.files"),
    ("distributions", "talkingvideo_operator.builders.pod", "talkingvideo_worker.units"),
    ("distributions", "talkingvideo_worker.units", "talkingvideo_operator.settings"),
    ("distributions", "talkingvideo_cli.view", "talkingvideo_operator.settings"),
    ("distributions", "talkingvideo_cli.manifest", "talkingvideo_worker.units"),
    ("cli", "talkingvideo_cli.view", "talkingvideo_cli.manifest"),
    ("cli", "talkingvideo_cli.exits", "talkingvideo_cli.refusals"),
    ("cli", "talkingvideo_cli.store", "talkingvideo_cli.commands.session"),
    ("cli-commands", "talkingvideo_cli.commands.watch", "talkingvideo_cli.commands.submit"),
    ("cli-commands", "talkingvideo_cli.commands.session", "talkingvideo_cli.commands.logs"),
    ("cli-is-light", "talkingvideo_cli.files", "PIL"),
    ("cli-is-light", "talkingvideo_cli.commands.listing", "structlog"),
    ("distributions", "talkingvideo_gateway.settings", "talkingvideo_worker.units"),
    ("distributions", "talkingvideo_gateway.local.queue", "talkingvideo_operator.settings"),
    ("operator-opens-no-store", "talkingvideo_operator.effects", "talkingvideo_clients.stores.local"),
    ("operator-opens-no-store", "talkingvideo_operator.main", "boto3"),
    ("worker-calls-no-cluster", "talkingvideo_worker.progress", "talkingvideo_clients.kube.objects"),
    ("worker-calls-no-cluster", "talkingvideo_worker.units", "kubernetes"),
    ("api", "talkingvideo_api.spec", "talkingvideo_api.status"),
    ("api", "talkingvideo_api.names", "talkingvideo_api.model"),
    ("api", "talkingvideo_api.effective", "talkingvideo_api.stage_input"),
    ("api-needs-pydantic-only", "talkingvideo_api.resource", "yaml"),
    ("api-needs-pydantic-only", "talkingvideo_api.reports", "httpx"),
    ("clients", "talkingvideo_clients.kube.index", "talkingvideo_clients.stores.base"),
    ("clients", "talkingvideo_clients.stores.base", "talkingvideo_clients.kube.api"),
    ("clients-kube", "talkingvideo_clients.kube.objects", "talkingvideo_clients.kube.api"),
    ("clients-stores", "talkingvideo_clients.stores.base", "talkingvideo_clients.stores.local"),
    ("operator", "talkingvideo_operator.settings", "talkingvideo_operator.planning.decision"),
    ("operator", "talkingvideo_operator.planning.plan", "talkingvideo_operator.builders.jobs"),
    ("operator", "talkingvideo_operator.builders.jobs", "talkingvideo_operator.effects"),
    ("operator", "talkingvideo_operator.lease", "talkingvideo_operator.cache"),
    ("operator", "talkingvideo_operator.events", "talkingvideo_operator.effects"),
    ("operator", "talkingvideo_operator.effects", "talkingvideo_operator.reconciler"),
    ("operator", "talkingvideo_operator.handlers", "talkingvideo_operator.reconciler"),
    ("operator", "talkingvideo_operator.reconciler", "talkingvideo_operator.main"),
    ("operator", "talkingvideo_operator.main", "talkingvideo_operator.cli"),
    ("operator-planning", "talkingvideo_operator.planning.attempts", "talkingvideo_operator.planning.retry"),
    ("operator-planning", "talkingvideo_operator.planning.observe", "talkingvideo_operator.planning.plan"),
    ("operator-planning-is-pure", "talkingvideo_operator.planning.plan", "talkingvideo_clients.kube.api"),
    ("operator-planning-is-pure", "talkingvideo_operator.planning.status", "talkingvideo_clients.stores.base"),
    ("operator-planning-is-pure", "talkingvideo_operator.planning.outcome", "kopf"),
    ("operator-planning-is-pure", "talkingvideo_operator.planning.observe", "time"),
    ("operator-planning-is-pure", "talkingvideo_clients.kube.objects", "kubernetes"),
    ("operator-builders", "talkingvideo_operator.builders.metadata", "talkingvideo_operator.builders.context"),
    ("operator-builders", "talkingvideo_operator.builders.mounts", "talkingvideo_operator.builders.pod"),
    ("gateway", "talkingvideo_gateway.http.bodies", "talkingvideo_gateway.dialects.jobs"),
    ("gateway", "talkingvideo_gateway.videos.service", "talkingvideo_gateway.local.queue"),
    ("gateway", "talkingvideo_gateway.errors", "talkingvideo_gateway.settings"),
    ("gateway-videos", "talkingvideo_gateway.videos.object", "talkingvideo_gateway.videos.service"),
    ("gateway-local", "talkingvideo_gateway.local.status", "talkingvideo_gateway.local.queue"),
    ("gateway-page", "talkingvideo_gateway.page.assets", "talkingvideo_gateway.page.routes"),
    ("gateway-identity", "talkingvideo_gateway.identity.caller", "talkingvideo_gateway.identity.loopback"),
    ("gateway-identity", "talkingvideo_gateway.identity.tokens", "talkingvideo_gateway.identity.credentials"),
    ("gateway-cluster", "talkingvideo_gateway.cluster.records", "talkingvideo_gateway.cluster.cache"),
    ("gateway-cluster", "talkingvideo_gateway.cluster.videos", "talkingvideo_gateway.cluster.backend"),
    ("clients-kube", "talkingvideo_clients.kube.index", "talkingvideo_clients.kube.reflector"),
    ("gateway-http", "talkingvideo_gateway.http.links", "talkingvideo_gateway.http.shared"),
    ("gateway-native", "talkingvideo_gateway.dialects.videos.models", "talkingvideo_gateway.dialects.videos.answers"),
    ("gateway-runpod", "talkingvideo_gateway.dialects.runpod.responses", "talkingvideo_gateway.dialects.runpod.jobs"),
    (
        "gateway-runpod-schemas",
        "talkingvideo_gateway.dialects.runpod.schemas.schema",
        "talkingvideo_gateway.dialects.runpod.schemas.urls",
    ),
    ("gateway-dialects", "talkingvideo_gateway.dialects.jobs", "talkingvideo_gateway.dialects.generate"),
    ("worker", "talkingvideo_worker.stages.render", "talkingvideo_worker.local.run"),
    ("worker", "talkingvideo_worker.engines.base", "talkingvideo_worker.stages.context"),
    ("worker", "talkingvideo_worker.media.join", "talkingvideo_worker.engines.base"),
    ("worker", "talkingvideo_worker.chunking.plan", "talkingvideo_worker.engines.base"),
    ("worker", "talkingvideo_worker.faces.detection", "talkingvideo_worker.media.picture"),
    ("worker", "talkingvideo_worker.units", "talkingvideo_worker.progress"),
    ("worker-stages", "talkingvideo_worker.stages.render", "talkingvideo_worker.stages.stitch"),
    ("worker-stages", "talkingvideo_worker.stages.context", "talkingvideo_worker.stages.result"),
    ("worker-prepare", "talkingvideo_worker.stages.prepare.fetch", "talkingvideo_worker.stages.prepare.process"),
    ("worker-local", "talkingvideo_worker.local.locations", "talkingvideo_worker.local.commands"),
    ("worker-process", "talkingvideo_worker.process.termination", "talkingvideo_worker.process.pod"),
    ("worker-engines", "talkingvideo_worker.engines.preview.engine", "talkingvideo_worker.engines.infinitetalk.colour"),
    ("worker-engines", "talkingvideo_worker.engines.base", "talkingvideo_worker.engines.registry"),
    ("worker-small-images", "talkingvideo_worker.media.loudness", "torch"),
    ("worker-small-images", "talkingvideo_worker.engines.preview.mouth", "transformers"),
    ("worker-chunking-is-pure", "talkingvideo_worker.chunking.plan", "wave"),
    ("worker-media", "talkingvideo_worker.media.wav", "talkingvideo_worker.media.engine_audio"),
    ("worker-sandbox", "talkingvideo_worker.sandbox.limits", "talkingvideo_worker.sandbox.server"),
    ("worker-inputs", "talkingvideo_worker.inputs.policy", "talkingvideo_worker.inputs.https"),
    ("worker-speech", "talkingvideo_worker.speech.espeak", "talkingvideo_worker.speech.synthesis"),
    ("worker-faces", "talkingvideo_worker.faces.mesh", "talkingvideo_worker.faces.report"),
    ("worker-chunking", "talkingvideo_worker.chunking.windows", "talkingvideo_worker.chunking.plan"),
    ("worker-weights", "talkingvideo_worker.weights.location", "talkingvideo_worker.weights.fetch"),
    ("preview", "talkingvideo_worker.engines.preview.geometry", "talkingvideo_worker.engines.preview.mouth"),
    (
        "infinitetalk",
        "talkingvideo_worker.engines.infinitetalk.weights.keys",
        "talkingvideo_worker.engines.infinitetalk.memory.modes",
    ),
    (
        "infinitetalk",
        "talkingvideo_worker.engines.infinitetalk.parallel.worker",
        "talkingvideo_worker.engines.infinitetalk.loader",
    ),
]


EXHAUSTIVE = [
    (contract["id"], package)
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    if contract.get("exhaustive")
    for package in contract["containers"]
]
"""Each contract that names every module of a package, with that package."""


@dataclass(frozen=True)
class Finding:
    """What import-linter says after an edit."""

    status: int
    output: str


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources of all distributions and of the contracts."""
    folder = tmp_path_factory.mktemp("layers")
    for source in SOURCES:
        shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def findings(copy: Path) -> dict[tuple[str, ...], Finding]:
    """What import-linter says after each edit, by the parameters of the test."""
    edits: dict[tuple[str, ...], tuple[str, str, str]] = {}
    for contract, module, forbidden in FORBIDDEN_IMPORTS:
        edits[contract, module, forbidden] = (str(source_of(copy, module)), f"\n\nimport {forbidden}\n", contract)
    for contract, package in EXHAUSTIVE:
        edits[contract, package] = (str(source_of(copy, package).parent / "unnamed.py"), "", contract)
    command = [sys.executable, str(Path(__file__).with_name("lint_edits.py"))]
    ran = subprocess.run(
        command,
        cwd=copy,
        env=environment(copy),
        input=json.dumps([*edits.values()]),
        capture_output=True,
        text=True,
        check=True,
    )
    return {key: Finding(*finding) for key, finding in zip(edits, json.loads(ran.stdout), strict=True)}


def test_the_sources_keep_the_contracts(copy: Path) -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"]
    ran = subprocess.run(command, cwd=copy, env=environment(copy), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(("contract", "module", "forbidden"), FORBIDDEN_IMPORTS)
def test_a_forbidden_import_is_refused(
    findings: dict[tuple[str, ...], Finding], contract: str, module: str, forbidden: str
) -> None:
    found = findings[contract, module, forbidden]
    assert found.status == 1, found.output
    assert f"{module} -> {forbidden}" in " ".join(found.output.split()), found.output


@pytest.mark.parametrize(("contract", "package"), EXHAUSTIVE)
def test_a_module_that_no_layer_names_is_refused(
    findings: dict[tuple[str, ...], Finding], contract: str, package: str
) -> None:
    found = findings[contract, package]
    assert found.status == 1, found.output
    assert "unnamed" in found.output


@pytest.mark.parametrize(
    "distribution",
    ["talkingvideo_api", "talkingvideo_cli", "talkingvideo_clients", "talkingvideo_gateway", "talkingvideo_operator"],
)
def test_every_package_of_a_distribution_has_a_contract_that_names_its_modules(distribution: str) -> None:
    folders = {init.parent for source in SOURCES for init in (ROOT / source).glob(f"{distribution}/**/__init__.py")}
    packages = {".".join(folder.parts[folder.parts.index(distribution) :]) for folder in folders}
    assert packages <= {package for _, package in EXHAUSTIVE}


def test_every_contract_is_shown_to_refuse_an_import() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {contract.get("id") for contract in settings["tool"]["importlinter"]["contracts"]} - {None}
    assert contracts == {contract for contract, _, _ in FORBIDDEN_IMPORTS}


def source_of(copy: Path, module: str) -> Path:
    """The file of a module or package in the copy."""
    paths = [copy / source / Path(*module.split(".")) for source in SOURCES]
    found = [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()]
    assert len(found) == 1, module
    return found[0]


def environment(copy: Path) -> dict[str, str]:
    """The environment in which the packages are those of the copy, and no output is wrapped."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(copy / source) for source in SOURCES), "COLUMNS": "300"}
