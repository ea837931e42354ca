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
from tests.cluster.cluster import Cluster
from tests.control_plane.operator_process import Sandbox, wait_until

FACE, SPEECH = "https://example.com/face.png", "s3://media/inputs/hello.wav"
PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
Plugin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def kubectl(installed: Cluster, namespace: str, tmp_path: Path) -> Plugin:
    """Starts ``kubectl talkingvideo`` as an author, who has the documented Role and nothing else."""
    role = documented_role()
    name = role["metadata"]["name"]
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "ann", "namespace": namespace}],
    }
    installed.apply(account("ann"), role, binding, namespace=namespace)
    return plugin(installed, namespace, installed.kubeconfig_for(namespace, "ann", tmp_path / "author"))


def documented_role() -> dict[str, Any]:
    """The Role that the documentation gives to authors."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (role,) = (each for block in blocks for each in yaml.safe_load_all(block) if each.get("kind") == "Role")
    found: dict[str, Any] = role
    return found


def account(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def plugin(cluster: Cluster, namespace: str, kubeconfig: Path) -> Plugin:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig)}

    def start(command: str, *arguments: str) -> subprocess.Popen[str]:
        whole = [str(cluster.kubectl_program), "talkingvideo", command, *arguments, "-n", namespace]
        return subprocess.Popen(whole, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


def test_a_video_from_submit_to_success(sandbox: Sandbox, kubectl: Plugin) -> None:
    watched = kubectl("submit", FACE, SPEECH, "--set", "spec.render.seed=7", "--watch", "--timeout", "300")
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
    sandbox.wait_phase("Preparing")
    assert "hello: Preparing" in ended(kubectl("explain", "hello"))[1]


def test_a_plan_leaves_nothing_behind(sandbox: Sandbox, kubectl: Plugin) -> None:
    planned = kubectl("plan", FACE, "--text", "Hello")
    sandbox.finish("prepare")
    status, out, error = ended(planned)
    assert status == 0, error
    assert "in 4 chunks" in out
    wait_until(lambda: not sandbox.jobs(), "the dry run and its Jobs are deleted")


def test_what_the_schema_refuses_is_a_sentence(kubectl: Plugin) -> None:
    """The command's own models refuse it first; a name that is taken is for the server alone to refuse."""
    status, _, error = ended(kubectl("submit", FACE, SPEECH, "--set", "spec.priority=Very High"))
    assert (status, "must be a name of a Kubernetes object" in error) == (2, True)
    assert ended(kubectl("submit", FACE, SPEECH, "--name", "taken", "--set", "spec.suspend=true"))[0] == 0
    status, _, error = ended(kubectl("submit", FACE, SPEECH, "--name", "taken"))
    assert (status, error) == (2, 'error: talkingvideos.talkingvideo.dev "taken" already exists\n')


def test_rights_that_are_missing_are_named(installed: Cluster, namespace: str, tmp_path: Path) -> None:
    installed.apply(account("nobody"), namespace=namespace)
    start = plugin(installed, namespace, installed.kubeconfig_for(namespace, "nobody", tmp_path / "nobody"))
    for command, verb in ((("submit", FACE, SPEECH), "create"), (("list",), "list"), (("cancel", "x"), "get")):
        status, _, error = ended(start(*command))
        assert status == 4
        assert f"you may not {verb} talkingvideos in the namespace {namespace}" in error
