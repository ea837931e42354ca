"""What the end-to-end tests rely on from the real node and the images."""

import time
from typing import Any

import pytest

from tests.cluster.base_images import PYTHON
from tests.cluster.docker_archive import added_files, settings
from tests.cluster.images import SMALL_IMAGES, BuiltImage, Image
from tests.cluster.node import RealNode
from tests.cluster.s3 import S3Server
from tests.cluster.waiting import wait_until

MB = 10**6
LIMITS = {Image.OPERATOR: 200 * MB, Image.WORKER_PREVIEW: 700 * MB}


def restricted_pod(image: str, command: list[str] | None = None, **container: Any) -> dict[str, Any]:
    main = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        **({"command": command} if command else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **container,
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if image == PYTHON:
        security["runAsUser"] = 65532
    spec = {"restartPolicy": "Never", "securityContext": security, "containers": [main], "enableServiceLinks": False}
    return {"metadata": {"name": "pod"}, "spec": spec}


def run_to_end(node: RealNode, namespace: str, pod: dict[str, Any]) -> tuple[str, Any, str]:
    """Run a pod and return its phase, its container's end, and its log."""
    core = node.cluster.core
    core.create_namespaced_pod(namespace, pod)

    def ended() -> Any:
        status = core.read_namespaced_pod("pod", namespace).status
        return status if status.phase in ("Succeeded", "Failed") else None

    status = wait_until("end of the pod", ended, 60)
    return status.phase, status.container_statuses[0].state.terminated, core.read_namespaced_pod_log("pod", namespace)


def test_a_pod_runs_to_its_end_with_its_termination_message(real_node: RealNode, real_namespace: str) -> None:
    script = "import os; print('uid', os.getuid()); open('/dev/termination-log', 'w').write('{\"frames\": 25}')"
    phase, ended, log = run_to_end(real_node, real_namespace, restricted_pod(PYTHON, ["python3", "-c", script]))
    assert (phase, ended.message, log) == ("Succeeded", '{"frames": 25}', "uid 65532\n")


def test_a_pod_fails_with_its_exit_code(real_node: RealNode, real_namespace: str) -> None:
    phase, ended, _ = run_to_end(real_node, real_namespace, restricted_pod(PYTHON, ["python3", "-c", "exit(10)"]))
    assert (phase, ended.exit_code) == ("Failed", 10)


def test_a_pod_beyond_its_memory_is_killed_for_it(real_node: RealNode, real_namespace: str) -> None:
    greedy = restricted_pod(PYTHON, ["python3", "-c", "bytearray(300 << 20)"], resources={"limits": {"memory": "64Mi"}})
    phase, ended, _ = run_to_end(real_node, real_namespace, greedy)
    assert (phase, ended.reason) == ("Failed", "OOMKilled")


def test_a_pod_asks_for_a_gpu_and_runs(real_node: RealNode, real_namespace: str) -> None:
    real_node.offer_gpus(2)
    pod = restricted_pod(PYTHON, ["python3", "-c", "pass"], resources={"limits": {"nvidia.com/gpu": "1"}})
    assert run_to_end(real_node, real_namespace, pod)[0] == "Succeeded"


def test_a_pod_reaches_the_api_server_and_the_s3_server(
    real_node: RealNode, real_namespace: str, node_s3_server: S3Server
) -> None:
    script = f"""
import os, ssl, urllib.request, urllib.error
account = "/var/run/secrets/kubernetes.io/serviceaccount"
api = f"https://{{os.environ['KUBERNETES_SERVICE_HOST']}}:{{os.environ['KUBERNETES_SERVICE_PORT']}}/version"
trust = ssl.create_default_context(cafile=f"{{account}}/ca.crt")
request = urllib.request.Request(api, headers={{"Authorization": "Bearer " + open(f"{{account}}/token").read()}})
print(urllib.request.urlopen(request, context=trust, timeout=10).status)
try:
    urllib.request.urlopen({node_s3_server.endpoint!r}, timeout=10)
except urllib.error.HTTPError as error:
    print(error.code)
"""
    phase, ended, log = run_to_end(real_node, real_namespace, restricted_pod(PYTHON, ["python3", "-c", script]))
    assert (phase, log) == ("Succeeded", "200\n403\n"), ended


def test_a_deleted_pod_is_gone_within_its_grace_period(real_node: RealNode, real_namespace: str) -> None:
    core = real_node.cluster.core
    script = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); signal.pause()"
    core.create_namespaced_pod(real_namespace, restricted_pod(PYTHON, ["python3", "-c", script]))
    wait_until("running pod", lambda: core.read_namespaced_pod("pod", real_namespace).status.phase == "Running", 60)

    started = time.monotonic()
    core.delete_namespaced_pod("pod", real_namespace)
    wait_until("no pod", lambda: not core.list_namespaced_pod(real_namespace).items, 25)
    assert time.monotonic() - started < 25


@pytest.mark.parametrize("image", SMALL_IMAGES, ids=lambda image: image.title)
class TestImage:
    @pytest.fixture
    def built(self, image: Image, node_images: dict[Image, BuiltImage]) -> BuiltImage:
        return node_images[image]

    def test_adds_no_more_to_its_base_than_allowed(self, image: Image, built: BuiltImage) -> None:
        assert 10 * MB < built.added_bytes() < LIMITS[image]

    def test_runs_as_a_numeric_user_that_is_not_root(self, image: Image, built: BuiltImage) -> None:
        assert settings(built.archive)["User"] == "65532:65532"

    def test_holds_nothing_that_installs_packages(self, image: Image, built: BuiltImage) -> None:
        names = {file.path.rsplit("/", 1)[-1] for file in added_files(built.archive, built.base)}
        assert not names & {"pip", "pip3", "uv", "gcc", "cc"}

    def test_starts_with_a_read_only_root(
        self, image: Image, built: BuiltImage, real_node: RealNode, real_namespace: str
    ) -> None:
        pod = restricted_pod(built.name, args=["--help"])
        phase, _, log = run_to_end(real_node, real_namespace, pod)
        assert phase == "Succeeded", log
        assert "Usage" in log
