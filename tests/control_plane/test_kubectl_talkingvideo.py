"""``kubectl talkingvideo`` with a real API server: as a plugin of the real kubectl, with the rights of an author."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.control_plane.operator_process import Sandbox, wait_until

FACE, SPEECH = "https://example.com/face.png", "s3://media/inputs/hello.wav"
PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
Plugin = Callable[..., "subprocess.Popen[str]"]


def roles() -> dict[str, Any]:
    """The Role that the documentation gives to authors."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (role,) = (document for block in blocks if (document := yaml.safe_load(block)).get("kind") == "Role")
    found: dict[str, Any] = role
    return found


@pytest.fixture
def kubectl(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    """Starts ``kubectl talkingvideo`` as an author, who has the documented Role and nothing else."""
    role = roles()
    name = role["metadata"]["name"]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name}}
    subject = {"kind": "ServiceAccount", "name": "ann", "namespace": sandbox.namespace}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ann"}}
    for document in (account, role, {**binding, "roleRef": reference, "subjects": [subject]}):
        sandbox.apply(document)
    kubeconfig = sandbox.cluster.kubeconfig_for(sandbox.namespace, "ann", tmp_path / "author")
    return starter(sandbox, kubeconfig)


def starter(sandbox: Sandbox, kubeconfig: Path) -> Plugin:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig)}

    def start(command: str, *arguments: str) -> subprocess.Popen[str]:
        program = str(sandbox.cluster.kubectl_program)
        return subprocess.Popen(
            [program, "talkingvideo", command, *arguments, "-n", sandbox.namespace],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


def test_a_video_from_submit_to_success(sandbox: Sandbox, kubectl: Plugin) -> None:
    watched = kubectl("submit", FACE, SPEECH, "--set", "render.seed=7", "--watch", "--timeout", "60")
    sandbox.finish_everything()
    status, out, error = ended(watched)
    assert status == 0, error
    assert "Succeeded, 4/4 chunks" in out
    (name,) = re.findall(r"talkingvideo\.talkingvideo\.dev/(face-\w+) created", error)
    assert out.splitlines()[-1].startswith(f"s3://media/{sandbox.namespace}/{name}-")
    assert sandbox.get(name)["spec"]["render"] == {"seed": 7}
    assert json.loads(ended(kubectl("list", "-o", "json"))[1])["items"][0]["metadata"]["name"] == name
    assert ended(kubectl("list"))[1].splitlines()[1].split()[:4] == [name, "Succeeded", "100%", "4/4"]


def test_a_video_is_cancelled_and_tried_again(sandbox: Sandbox, kubectl: Plugin) -> None:
    assert ended(kubectl("submit", FACE, SPEECH, "--name", "hello"))[0] == 0
    sandbox.pod("prepare")
    watched = kubectl("watch", "hello")
    assert ended(kubectl("cancel", "hello"))[:2] == (0, "talkingvideo.talkingvideo.dev/hello cancelled\n")
    assert ended(watched)[0] == 5
    assert ended(kubectl("retry", "hello"))[:2] == (0, "talkingvideo.talkingvideo.dev/hello is tried again\n")
    sandbox.pod("prepare", attempt=1)
    assert "hello: Preparing" in ended(kubectl("explain", "hello"))[1]


def test_a_plan_leaves_nothing_behind(sandbox: Sandbox, kubectl: Plugin) -> None:
    planned = kubectl("plan", FACE, "--text", "Hello")
    sandbox.finish("prepare")
    status, out, error = ended(planned)
    assert status == 0, error
    assert "in 4 chunks" in out
    wait_until(lambda: not sandbox.jobs(), "the dry run and its Jobs are deleted")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "output.s3.bucket=x"), "spec.output.s3.bucket"),
        (("--set", "overrides.nodeSelector=[]"), "spec.overrides.nodeSelector"),
        (("--text", "also"), "must be a name of a Kubernetes object"),
    ],
)
def test_what_the_schema_refuses_is_a_sentence(
    sandbox: Sandbox, kubectl: Plugin, arguments: tuple[str, ...], words: str
) -> None:
    status, _, error = ended(kubectl("submit", FACE, SPEECH, "--set", "priority=Very High", *arguments))
    assert status == 2
    assert "Traceback" not in error
    assert words in error


def test_rights_that_are_missing_are_named(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}})
    kubeconfig = sandbox.cluster.kubeconfig_for(sandbox.namespace, "nobody", tmp_path / "nobody")
    kubectl = starter(sandbox, kubeconfig)
    for command, verb in ((("submit", FACE, SPEECH), "create"), (("list",), "list"), (("cancel", "x"), "get")):
        status, _, error = ended(kubectl(*command))
        assert status == 4
        assert f"you may not {verb} talkingvideos in the namespace {sandbox.namespace}" in error
