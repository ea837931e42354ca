"""A kubelet's part, played by the test, for nodes that are objects only."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes import client
from urllib3.exceptions import HTTPError

from tests.cluster.cluster import Cluster

_TERMINATED_BY_DELETION = 143
_POLL_SECONDS = 0.1
_OURS = {"talkingvideo.test/fake-node": "true"}
"""Marks nodes that are objects only, so that pods of a cluster's real nodes are left to their kubelets."""


@dataclass(frozen=True)
class FakeKubelet:
    """Adds nodes to a cluster and writes the status of the pods that the scheduler binds to them."""

    cluster: Cluster

    def add_node(self, name: str, gpus: int = 0, labels: dict[str, str] | None = None) -> None:
        """Add a Ready node with 16 CPUs, 64 GiB, and ``gpus`` of ``nvidia.com/gpu``."""
        resources = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "200Gi", "pods": "500"}
        if gpus:
            resources["nvidia.com/gpu"] = str(gpus)
        node = {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **_OURS, **(labels or {})}},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": [{"type": "Ready", "status": "True", "reason": "Fake", "message": "an object only"}],
                "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
            },
        }
        self.cluster.core.create_node(node)

    def remove_node(self, name: str) -> None:
        """Remove a node and, as its loss would, the pods bound to it."""
        for pod in self.cluster.core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={name}").items:
            self.confirm_deletion(pod)
        self.cluster.core.delete_node(name)

    def scheduled_pod(self, namespace: str, labels: str = "", timeout: float = 30) -> Any:
        """Wait until a pod that matches ``labels`` is bound to a node and has not started, and return it."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            pods = self.cluster.core.list_namespaced_pod(namespace, label_selector=labels).items
            for pod in pods:
                if pod.spec.node_name and pod.status.phase == "Pending" and not pod.status.container_statuses:
                    return pod
            time.sleep(_POLL_SECONDS)
        seen = {pod.metadata.name: pod.status.phase for pod in pods}
        raise TimeoutError(f"no scheduled pod with {labels!r} in {namespace} within {timeout:.0f} s; pods: {seen}")

    def run_pod(self, pod: Any) -> None:
        """Report the pod as Running: init containers done, containers started."""
        started = {"running": {"startedAt": _now()}}
        self._report(
            pod,
            phase="Running",
            conditions=[_condition("PodReadyToStartContainers"), _condition("Initialized"), _condition("Ready")],
            initContainerStatuses=[_container(each, _terminated(0)) for each in pod.spec.init_containers or []],
            containerStatuses=[_container(each, started, ready=True) for each in pod.spec.containers],
        )

    def finish_pod(
        self,
        pod: Any,
        exit_code: int = 0,
        message: str = "",
        reason: str | None = None,
        container: str | None = None,
    ) -> None:
        """Report the pod as ended.

        Args:
            pod: The pod, whatever was reported of it before.
            exit_code: Of the container ``container``; all others end with 0.
            message: The container's termination message.
            reason: The container's reason, such as ``OOMKilled``; by default ``Completed`` or ``Error``.
            container: A container or an init container, by default the last container. When an init container
                fails, what comes after it never starts.
        """
        inits, mains = pod.spec.init_containers or [], pod.spec.containers
        deciding = container or mains[-1].name
        decided = _terminated(exit_code, message, reason)
        order = [each.name for each in inits]
        stopped_in_init = exit_code != 0 and deciding in order

        def state(name: str) -> dict[str, Any]:
            if name == deciding:
                return decided
            never_ran = stopped_in_init and (name not in order or order.index(name) > order.index(deciding))
            return {"waiting": {"reason": "PodInitializing"}} if never_ran else _terminated(0)

        self._report(
            pod,
            phase="Failed" if exit_code else "Succeeded",
            conditions=[_condition("Initialized", not stopped_in_init), _condition("Ready", False)],
            initContainerStatuses=[_container(each, state(each.name)) for each in inits],
            containerStatuses=[_container(each, state(each.name)) for each in mains],
        )

    def evict_pod(self, pod: Any, reason: str = "TerminationByKubelet") -> None:
        """Report the pod as disrupted by its node: Failed, with the DisruptionTarget condition."""
        killed = _terminated(137, reason="Error")
        self._report(
            pod,
            phase="Failed",
            reason="Evicted",
            message="The node was low on resource: memory.",
            conditions=[
                {**_condition("DisruptionTarget"), "reason": reason, "message": "evicted by the test"},
                _condition("Ready", False),
            ],
            containerStatuses=[_container(each, killed) for each in pod.spec.containers],
        )

    def confirm_deletion(self, pod: Any) -> None:
        """End a pod that is being deleted, as its kubelet would: its containers end, then it is gone."""
        try:
            if pod.status.phase not in ("Succeeded", "Failed"):
                self.finish_pod(pod, _TERMINATED_BY_DELETION)
            self.cluster.core.delete_namespaced_pod(pod.metadata.name, pod.metadata.namespace, grace_period_seconds=0)
        except client.ApiException as error:
            if error.status not in (404, 409):
                raise

    @contextmanager
    def confirming_deletions(self) -> Iterator[None]:
        """Confirm the deletion of pods on nodes added here while the block runs; else such pods stay forever."""
        over = threading.Event()
        thread = threading.Thread(target=self._confirm_until, args=(over.is_set,), name="fake-kubelet", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _confirm_until(self, over: Callable[[], bool]) -> None:
        while not over():
            with suppress(client.ApiException, HTTPError):  # The API server may be restarted by a test.
                for pod in self._pods_being_deleted():
                    self.confirm_deletion(pod)
            time.sleep(_POLL_SECONDS)

    def _pods_being_deleted(self) -> list[Any]:
        selector = ",".join(f"{key}={value}" for key, value in _OURS.items())
        nodes = {node.metadata.name for node in self.cluster.core.list_node(label_selector=selector).items}
        pods = self.cluster.core.list_pod_for_all_namespaces().items if nodes else []
        return [pod for pod in pods if pod.metadata.deletion_timestamp and pod.spec.node_name in nodes]

    def _report(self, pod: Any, **status: Any) -> None:
        body = {"status": {"startTime": _now(), "podIP": "192.0.2.2", **status}}
        self.cluster.core.patch_namespaced_pod_status(pod.metadata.name, pod.metadata.namespace, body)


def _container(spec: Any, state: dict[str, Any], *, ready: bool = False) -> dict[str, Any]:
    return {
        "name": spec.name,
        "image": spec.image,
        "imageID": "",
        "restartCount": 0,
        "ready": ready,
        "started": ready,
        "state": state,
    }


def _terminated(exit_code: int, message: str = "", reason: str | None = None) -> dict[str, Any]:
    ended = {"exitCode": exit_code, "reason": reason or ("Error" if exit_code else "Completed"), "finishedAt": _now()}
    return {"terminated": {**ended, "startedAt": ended["finishedAt"], **({"message": message} if message else {})}}


def _condition(kind: str, holds: bool = True) -> dict[str, str]:  # noqa: FBT002 - the value is the data
    return {"type": kind, "status": str(holds), "lastTransitionTime": _now()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
