"""Every pod that the operator makes, in a namespace whose API server enforces the restricted pod security standard."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.chart.operator_jobs import FEATURES, Feature, Manifest, jobs_of
from tests.cluster.cluster import Cluster, KubectlError

NOT_IN_THE_NAMESPACE = ("serviceAccountName", "priorityClassName")
"""What a pod may name only if somebody has created it."""

BREACHES: dict[str, Any] = {
    "root": {"runAsUser": 0, "runAsNonRoot": False},
    "more rights": {"allowPrivilegeEscalation": True},
    "a capability": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}},
    "all capabilities": {"capabilities": {}},
    "every system call": {"seccompProfile": {"type": "Unconfined"}},
    "privilege": {"privileged": True, "allowPrivilegeEscalation": True},
}


def pods_of(feature: Feature, namespace: str) -> list[Manifest]:
    """The pods of a video's three stages."""
    specs = [job["spec"]["template"]["spec"] for job in jobs_of(feature, namespace)]
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{number}", "namespace": namespace},
            "spec": {key: value for key, value in spec.items() if key not in NOT_IN_THE_NAMESPACE},
        }
        for number, spec in enumerate(specs)
    ]


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def admit(cluster: Cluster, pods: list[Manifest]) -> str:
    return cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(pods))


@pytest.mark.parametrize("feature", FEATURES.values(), ids=list(FEATURES))
def test_the_api_server_admits_every_container_of_every_stage(
    cluster: Cluster, namespace: str, feature: Feature
) -> None:
    pods = pods_of(feature, namespace)
    assert [len(containers(pod)) for pod in pods] == [3, 1, 1]
    admitted = admit(cluster, pods)
    assert admitted.count("created") == len(pods)
    assert "would violate" not in admitted


@pytest.mark.parametrize("breach", BREACHES.values(), ids=list(BREACHES))
def test_the_api_server_would_refuse_a_container_with_more(cluster: Cluster, namespace: str, breach: Any) -> None:
    """So the test above is one: in each container of each stage, a single breach is found."""
    for pod in pods_of(FEATURES["LoRAs"], namespace):
        for container in containers(pod):
            kept = container["securityContext"]
            container["securityContext"] = kept | breach
            with pytest.raises(KubectlError, match="restricted"):
                admit(cluster, [pod])
            container["securityContext"] = kept
