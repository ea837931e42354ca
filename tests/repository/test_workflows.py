"""The workflows are valid, and pin what they take from others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.cluster.binaries import binary
from tests.cluster.unavailable import skipped_when_unavailable

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def actionlint() -> Path:
    with skipped_when_unavailable():
        return binary("actionlint")


@pytest.mark.harness
def test_the_workflows_are_valid(actionlint: Path) -> None:
    done = subprocess.run([actionlint, "-no-color", *WORKFLOWS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.harness
def test_a_mistake_in_a_workflow_is_found(actionlint: Path, tmp_path: Path) -> None:
    (workflow,) = (file for file in WORKFLOWS if file.name == "release.yml")
    broken = tmp_path / "release.yml"
    broken.write_text(workflow.read_text().replace("needs: check", "needs: chek"))
    done = subprocess.run([actionlint, "-no-color", broken], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "chek" in done.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    used = re.findall(r"uses: (\S+)", workflow.read_text())
    assert used
    assert not [action for action in used if not re.search(r"@[0-9a-f]{40}$", action)]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_may_do_nothing_that_it_does_not_ask_for(workflow: Path) -> None:
    assert "\npermissions:\n  contents: read\n" in workflow.read_text()
