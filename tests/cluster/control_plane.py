"""A Kubernetes control plane on this machine: etcd, API server, controllers, scheduler. No root, no nodes."""

import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubernetes import client

from tests.cluster.binaries import CONTROL_PLANE, binaries
from tests.cluster.certificates import Authority
from tests.cluster.cluster import Cluster
from tests.cluster.processes import Processes, flags

LOOPBACK = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
_READY_SECONDS = 60
_LAST_SECONDS = 2
"""An API server waits for its watchers before it ends; nothing here is worth waiting for."""
_ETCD_BYTES = 8 * 1024**3
"""etcd's own recommended maximum; its default of 2 GB is less than 5,000 large objects take."""
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}
_NO_NODE_LOSS = "24h"
"""Nodes that are objects only have no heartbeat; they stay Ready as created."""


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane.

    Attributes:
        state: Its folder: certificates, etcd's data, logs.
        authority: Issues further certificates, such as a node's.
        server: The URL of the API server.
        processes: Its programs; a node adds its own.
        cluster: Access as an administrator.
    """

    state: Path
    authority: Authority
    server: str
    processes: Processes
    cluster: Cluster


@contextmanager
def running_control_plane(state: Path, address: str = LOOPBACK) -> Iterator[ControlPlane]:
    """Start a control plane whose API server listens on ``address``, and stop it afterwards.

    Args:
        state: An empty folder for all that it writes.
        address: Loopback, or an address that pods can reach when a real node is to join.

    Raises:
        UnavailableError: A program is missing and can't be built here.
        RuntimeError: It did not come up; the ends of the logs are in the message.
    """
    programs = binaries(CONTROL_PLANE)
    authority = Authority.create(state / "pki")
    etcd_port, peer_port, api_port, controller_port, scheduler_port = _free_ports(address, 5)
    server = f"https://{address}:{api_port}"
    admin = authority.kubeconfig("admin", "/O=system:masters/CN=admin", server)
    processes = Processes(state / "logs")
    cluster = Cluster(admin, programs["kubectl"], state / "audit.log")
    plane = ControlPlane(state, authority, server, processes, cluster)
    try:
        etcd_url = f"http://{LOOPBACK}:{etcd_port}"
        _start_etcd(plane, programs["etcd"], etcd_url, f"http://{LOOPBACK}:{peer_port}")
        _start_api_server(plane, programs["kube-apiserver"], address, api_port, etcd_url)
        # Before the bootstrap roles exist the controller manager gives up.
        processes.wait_until("API server", lambda: _answers_ok(plane, f"{server}/readyz"), _READY_SECONDS)
        _start_controllers(plane, programs["kube-controller-manager"], controller_port)
        _start_scheduler(plane, programs["kube-scheduler"], scheduler_port)
        for name, port in (("controller manager", controller_port), ("scheduler", scheduler_port)):
            healthz = f"https://{LOOPBACK}:{port}/healthz"
            processes.wait_until(name, lambda url=healthz: _answers_ok(plane, url), _READY_SECONDS)  # type: ignore[misc]
        processes.wait_until("default ServiceAccount", lambda: _has_default_account(cluster), _READY_SECONDS)
        yield plane
    finally:
        processes.stop_all(_LAST_SECONDS)


def _start_etcd(plane: ControlPlane, program: Path, client_url: str, peer_url: str) -> None:
    settings = flags(
        name="default",
        data_dir=plane.state / "etcd",
        log_level="warn",
        unsafe_no_fsync=True,
        quota_backend_bytes=_ETCD_BYTES,
        listen_client_urls=client_url,
        advertise_client_urls=client_url,
        listen_peer_urls=peer_url,
        initial_advertise_peer_urls=peer_url,
        initial_cluster=f"default={peer_url}",
    )
    plane.processes.start("etcd", [program, *settings])


def _start_api_server(plane: ControlPlane, program: Path, address: str, port: int, etcd_url: str) -> None:
    authority = plane.authority
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
    addresses = dict.fromkeys([LOOPBACK, address, KUBERNETES_SERVICE])
    alternatives = [f"DNS:{name}" for name in names] + [f"IP:{ip}" for ip in addresses]
    serving = authority.server("apiserver", "/CN=kube-apiserver", alternatives)
    to_kubelet = authority.client("apiserver-to-kubelet", "/O=system:masters/CN=kube-apiserver")
    settings = flags(
        etcd_servers=etcd_url,
        bind_address=address,
        secure_port=port,
        cert_dir=plane.state / "apiserver",
        tls_cert_file=serving.certificate,
        tls_private_key_file=serving.key,
        client_ca_file=authority.own.certificate,
        authorization_mode="Node,RBAC",
        enable_admission_plugins="NodeRestriction",
        service_account_issuer="https://kubernetes.default.svc.cluster.local",
        service_account_key_file=authority.token_public_key,
        service_account_signing_key_file=authority.token_key,
        service_cluster_ip_range=SERVICE_RANGE,
        kubelet_preferred_address_types="InternalIP",
        kubelet_client_certificate=to_kubelet.certificate,
        kubelet_client_key=to_kubelet.key,
        allow_privileged=True,
        audit_policy_file=_audit_policy(plane.state),
        audit_log_path=plane.cluster.audit_log,
        profiling=False,
    )
    plane.processes.start("kube-apiserver", [program, *settings, *_advertised(address)])


def _audit_policy(state: Path) -> Path:
    """Requests of pods' and tests' ServiceAccounts, without their bodies; the control plane's own are in kube-system."""
    file = state / "audit-policy.yaml"
    file.write_text(json.dumps(AUDIT_POLICY))
    return file


def _advertised(address: str) -> list[str]:
    # The "kubernetes" service refuses a loopback address as its endpoint; without pods nobody needs that endpoint.
    if address == LOOPBACK:
        return flags(endpoint_reconciler_type="none")
    return flags(advertise_address=address)


def _start_controllers(plane: ControlPlane, program: Path, port: int) -> None:
    authority = plane.authority
    settings = flags(
        root_ca_file=authority.own.certificate,
        service_account_private_key_file=authority.token_key,
        cluster_signing_cert_file=authority.own.certificate,
        cluster_signing_key_file=authority.own.key,
        use_service_account_credentials=True,
        node_monitor_grace_period=_NO_NODE_LOSS,
    )
    _start_component(plane, program, port, settings)


def _start_scheduler(plane: ControlPlane, program: Path, port: int) -> None:
    _start_component(plane, program, port, [])


def _start_component(plane: ControlPlane, program: Path, port: int, settings: list[str]) -> None:
    """Start a client of the API server that has rights of its own (``system:<name>``) and a health page."""
    kubeconfig = plane.authority.kubeconfig(program.name, f"/CN=system:{program.name}", plane.server)
    common = flags(
        kubeconfig=kubeconfig,
        authentication_kubeconfig=kubeconfig,
        authorization_kubeconfig=kubeconfig,
        bind_address=LOOPBACK,
        secure_port=port,
        cert_dir=plane.state / program.name,
        leader_elect=False,
        profiling=False,
    )
    plane.processes.start(program.name, [program, *common, *settings])


def _answers_ok(plane: ControlPlane, url: str) -> bool:
    admin = plane.state / "pki" / "admin"
    trust = ssl.create_default_context(cafile=str(plane.authority.own.certificate))
    if not url.startswith(plane.server):  # The controllers' health pages have certificates of their own making.
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    trust.load_cert_chain(admin.with_suffix(".crt"), admin.with_suffix(".key"))
    try:
        with urllib.request.urlopen(url, timeout=2, context=trust) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _has_default_account(cluster: Cluster) -> bool:
    try:
        cluster.core.read_namespaced_service_account("default", "default")
    except client.ApiException:
        return False
    return True


def _free_ports(address: str, count: int) -> Sequence[int]:
    """Return ports that were free a moment ago, all different (they are held together until all are chosen)."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind((address, 0))
        return [probe.getsockname()[1] for probe in sockets]
