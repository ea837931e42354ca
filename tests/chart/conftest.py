"""The chart, rendered by Helm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.binaries import binary
from tests.cluster.unavailable import skipped_when_unavailable

CHART = Path(__file__).parents[2] / "charts" / "talkingvideo"

Helm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Runs Helm; a failure is for the test to judge."""
    with skipped_when_unavailable():
        program = str(binary("helm"))

    def run(*arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        version = () if "--dry-run=server" in arguments else ("--kube-version", "1.33")
        command = [program, *arguments, *version, "--values", "-"]
        return subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def render(helm: Helm) -> Callable[..., list[dict[str, Any]]]:
    """Renders the chart as ``helm install talkingvideo --namespace videos`` would."""

    def run(values: dict[str, Any] | None = None, namespace: str = "videos") -> list[dict[str, Any]]:
        done = helm("template", "talkingvideo", str(CHART), "--namespace", namespace, values=values)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return run


def rights(*roles: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Each right as group, resource (with the names it is narrowed to) and verb."""
    return {
        (group, "/".join((resource, *rule.get("resourceNames", ()))), verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
