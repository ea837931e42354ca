"""A node that really runs pods: containerd, kubelet and kube-proxy beside a control plane of its own. Root."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.base_images import pause_image, python_image
from tests.cluster.binaries import CONTROL_PLANE, NODE, binaries
from tests.cluster.cluster import Cluster, KubectlError
from tests.cluster.containerd import POD_RANGE, Containerd
from tests.cluster.control_plane import ControlPlane, running_control_plane
from tests.cluster.host_network import HOST_ADDRESS, host_address
from tests.cluster.leftovers import remove_leftovers
from tests.cluster.packages import ensure_packages
from tests.cluster.processes import flags
from tests.cluster.progress import say
from tests.cluster.unavailable import UnavailableError

NODE_NAME = "node-a"
STATE = Path("/var/tmp/talkingvideo-test-node")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
_KUBELET_PORT = 10250
_READY_SECONDS = 90
_LAST_PODS_SECONDS = 20
_CONTROLLERS = "deployments,statefulsets,daemonsets,replicasets,cronjobs,jobs"


@dataclass(frozen=True)
class RealNode:
    """A running cluster of one node.

    Attributes:
        plane: Its control plane.
        containerd: Its container runtime.
        host_address: Where pods reach servers on this machine (and this machine does too).
    """

    plane: ControlPlane
    containerd: Containerd
    host_address: str

    @property
    def cluster(self) -> Cluster:
        """Access as an administrator."""
        return self.plane.cluster

    def import_image(self, archive: Path) -> None:
        """Make an image of an archive available to pods, under the name it has in the archive."""
        self.containerd.import_image(archive)

    def offer_gpus(self, count: int) -> None:
        """Have the node offer ``count`` of ``nvidia.com/gpu``, which do not exist."""
        gpus = {"nvidia.com/gpu": str(count)}
        self.cluster.core.patch_node_status(NODE_NAME, {"status": {"capacity": gpus, "allocatable": gpus}})


@contextmanager
def running_node() -> Iterator[RealNode]:
    """Start a control plane and a node, and stop both afterwards, leaving nothing on the machine.

    What an earlier run left when it was killed is removed first. There is one such node per machine.

    Raises:
        UnavailableError: This is not root, something is missing, or another kubelet runs here.
        RuntimeError: It did not come up; the ends of the logs are in the message.
    """
    if os.geteuid() != 0:
        raise UnavailableError("a real node needs root")
    ensure_packages()
    programs = binaries([*CONTROL_PLANE, *NODE])
    archives = [pause_image(), python_image()]
    with ExitStack() as stack:
        stack.enter_context(_only_node_of_this_machine())
        remove_leftovers(STATE)
        _refuse_other_kubelet()
        STATE.mkdir(mode=0o700)
        stack.callback(remove_leftovers, STATE)
        address = stack.enter_context(host_address())
        plane = stack.enter_context(running_control_plane(STATE / "control-plane", address))
        containerd = Containerd(STATE)
        containerd.start(plane.processes)
        for archive in archives:
            containerd.import_image(archive)
        _start_kubelet(plane, programs["kubelet"], containerd)
        _start_kube_proxy(plane, programs["kube-proxy"])
        plane.processes.wait_until("Ready node", lambda: _is_ready(plane.cluster), _READY_SECONDS)
        stack.callback(_end_pods, plane)
        yield RealNode(plane, containerd, address)


@contextmanager
def _only_node_of_this_machine() -> Iterator[None]:
    with STATE.with_name(f"{STATE.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_other_kubelet() -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 10248)) == 0:
            raise UnavailableError("another kubelet runs on this machine")


def _start_kubelet(plane: ControlPlane, program: Path, containerd: Containerd) -> None:
    # The kubelet's folder of device plugins is fixed; a checkpoint there would bring an earlier cluster's devices back.
    _DEVICE_PLUGINS.mkdir(parents=True, exist_ok=True)
    (_DEVICE_PLUGINS / "kubelet_internal_checkpoint").unlink(missing_ok=True)
    kubeconfig = plane.authority.kubeconfig("kubelet", f"/O=system:nodes/CN=system:node:{NODE_NAME}", plane.server)
    settings = STATE / "kubelet.json"
    settings.write_text(json.dumps(_kubelet_settings(plane, containerd)))
    plane.processes.start(
        "kubelet",
        [
            program,
            *flags(
                config=settings,
                kubeconfig=kubeconfig,
                root_dir=STATE / "kubelet",
                cert_dir=STATE / "kubelet-pki",
                hostname_override=NODE_NAME,
                node_ip=HOST_ADDRESS,
            ),
        ],
    )


def _kubelet_settings(plane: ControlPlane, containerd: Containerd) -> dict[str, Any]:
    names = [f"DNS:{NODE_NAME}", f"IP:{HOST_ADDRESS}", "IP:127.0.0.1"]
    serving = plane.authority.server("kubelet-server", f"/CN=system:node:{NODE_NAME}", names)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Where CAP_SYS_RESOURCE is missing the kubelet then only logs the limits and scores that it can't set.
        "featureGates": {"KubeletInUserNamespace": True},
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{containerd.socket}",
        "address": HOST_ADDRESS,
        "port": _KUBELET_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(plane.authority.own.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "podLogsDir": str(STATE / "pod-logs"),
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "enforceNodeAllocatable": ["pods"],
        "maxPods": 60,
        "volumePluginDir": str(STATE / "volume-plugins"),
    }


def _start_kube_proxy(plane: ControlPlane, program: Path) -> None:
    plane.cluster.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "tests:kube-proxy"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:node-proxier",
            },
            "subjects": [{"kind": "User", "name": "system:kube-proxy", "apiGroup": "rbac.authorization.k8s.io"}],
        }
    )
    kubeconfig = plane.authority.kubeconfig("kube-proxy", "/CN=system:kube-proxy", plane.server)
    settings = STATE / "kube-proxy.json"
    settings.write_text(
        json.dumps(
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "mode": "nftables",
                "hostnameOverride": NODE_NAME,
                "clusterCIDR": POD_RANGE,
                "clientConnection": {"kubeconfig": str(kubeconfig)},
                "conntrack": {"maxPerCore": 0, "min": 0},
                "healthzBindAddress": "127.0.0.1:10256",
                "metricsBindAddress": "127.0.0.1:10249",
            }
        )
    )
    plane.processes.start("kube-proxy", [program, *flags(config=settings)])


def _is_ready(cluster: Cluster) -> bool:
    try:
        said = cluster.kubectl(
            "get", "node", NODE_NAME, "--output=jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        )
    except KubectlError:
        return False
    return said == "True"


def _end_pods(plane: ControlPlane) -> None:
    """Have the kubelet end all pods while it still can: it undoes their mounts, networks and cgroups.

    Controllers go first and leave their pods, whose own deletion can then ask for a short grace period.
    """
    everywhere = ["--all", "--all-namespaces", f"--timeout={_LAST_PODS_SECONDS}s"]
    try:
        plane.cluster.kubectl("delete", _CONTROLLERS, *everywhere, "--cascade=orphan")
        plane.cluster.kubectl("delete", "pods", *everywhere, "--grace-period=1")
    except KubectlError as error:
        say(f"some pods outlived their deletion: {error}")
    for name in ("kube-proxy", "kubelet", "containerd"):
        plane.processes.stop(name)
