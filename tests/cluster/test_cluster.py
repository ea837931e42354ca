"""What the operator's tests rely on from the control plane."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.cluster import Cluster, KubectlError
from tests.cluster.fake_kubelet import FakeKubelet
from tests.cluster.waiting import wait_until

GPU = "nvidia.com/gpu"


@pytest.fixture
def gpu_node(fake_kubelet: FakeKubelet) -> Iterator[str]:
    name = f"gpu-{uuid.uuid4().hex[:6]}"
    fake_kubelet.add_node(name, gpus=2, labels={"pool": name})
    yield name
    fake_kubelet.remove_node(name)


def restricted_pod(**spec: Any) -> dict[str, Any]:
    """A pod template that the restricted pod security standard admits."""
    container = {
        "name": "main",
        "image": "localhost/none",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **spec.pop("container", {}),
    }
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"spec": {"restartPolicy": "Never", "securityContext": security, "containers": [container], **spec}}


def create_job(cluster: Cluster, namespace: str, template: dict[str, Any], **spec: Any) -> None:
    job = {"metadata": {"name": "job"}, "spec": {"template": template, "backoffLimit": 0, **spec}}
    cluster.batch.create_namespaced_job(namespace, job)


def job_condition(cluster: Cluster, namespace: str, kind: str) -> Callable[[], Any]:
    def read() -> Any:
        conditions = cluster.batch.read_namespaced_job("job", namespace).status.conditions or []
        return next((each for each in conditions if each.type == kind and each.status == "True"), None)

    return read


def test_a_gpu_node_takes_as_many_pods_as_it_has_gpus(cluster: Cluster, namespace: str, gpu_node: str) -> None:
    template = restricted_pod(nodeSelector={"pool": gpu_node}, container={"resources": {"limits": {GPU: "1"}}})
    create_job(cluster, namespace, template, parallelism=3, completions=3)

    def refusals() -> list[str]:
        pods = cluster.core.list_namespaced_pod(namespace).items
        reasons = (condition.message for pod in pods for condition in pod.status.conditions or [])
        return [reason for reason in reasons if reason and f"Insufficient {GPU}" in reason]

    assert len(wait_until("an unschedulable pod", refusals)) == 1
    bound = [pod.spec.node_name for pod in cluster.core.list_namespaced_pod(namespace).items if pod.spec.node_name]
    assert bound == [gpu_node] * 2


def test_a_pod_that_succeeds_completes_its_job(
    cluster: Cluster, namespace: str, gpu_node: str, fake_kubelet: FakeKubelet
) -> None:
    create_job(cluster, namespace, restricted_pod(nodeSelector={"pool": gpu_node}))
    pod = fake_kubelet.scheduled_pod(namespace)
    fake_kubelet.run_pod(pod)
    assert cluster.core.read_namespaced_pod(pod.metadata.name, namespace).status.phase == "Running"

    fake_kubelet.finish_pod(pod, message='{"frames": 25}')

    wait_until("a complete Job", job_condition(cluster, namespace, "Complete"))
    ended = cluster.core.read_namespaced_pod(pod.metadata.name, namespace).status.container_statuses[0].state
    assert ended.terminated.message == '{"frames": 25}'


def test_an_exit_code_reaches_the_pod_failure_policy(
    cluster: Cluster, namespace: str, gpu_node: str, fake_kubelet: FakeKubelet
) -> None:
    init = restricted_pod()["spec"]["containers"][0] | {"name": "fetch"}
    template = restricted_pod(nodeSelector={"pool": gpu_node}, initContainers=[init])
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [10]}}
    create_job(cluster, namespace, template, backoffLimit=5, podFailurePolicy={"rules": [rule]})

    pod = fake_kubelet.scheduled_pod(namespace)
    fake_kubelet.finish_pod(pod, exit_code=10, container="fetch")

    failed = wait_until("a failed Job", job_condition(cluster, namespace, "Failed"))
    assert failed.reason == "PodFailurePolicy"
    main = cluster.core.read_namespaced_pod(pod.metadata.name, namespace).status.container_statuses[0]
    assert main.state.waiting.reason == "PodInitializing"


def test_an_evicted_pod_is_replaced_without_counting_as_a_failure(
    cluster: Cluster, namespace: str, gpu_node: str, fake_kubelet: FakeKubelet
) -> None:
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    template = restricted_pod(nodeSelector={"pool": gpu_node})
    create_job(cluster, namespace, template, podFailurePolicy={"rules": [rule]})
    first = fake_kubelet.scheduled_pod(namespace)
    fake_kubelet.run_pod(first)

    fake_kubelet.evict_pod(first)

    second = fake_kubelet.scheduled_pod(namespace)
    assert second.metadata.name != first.metadata.name
    assert not cluster.batch.read_namespaced_job("job", namespace).status.failed


def test_a_deleted_job_takes_its_running_pod_with_it(
    cluster: Cluster, namespace: str, gpu_node: str, fake_kubelet: FakeKubelet
) -> None:
    create_job(cluster, namespace, restricted_pod(nodeSelector={"pool": gpu_node}))
    fake_kubelet.run_pod(fake_kubelet.scheduled_pod(namespace))

    cluster.batch.delete_namespaced_job("job", namespace, propagation_policy="Foreground")

    wait_until("no pods", lambda: not cluster.core.list_namespaced_pod(namespace).items)


def test_a_restricted_namespace_refuses_a_root_pod(cluster: Cluster, namespace: str) -> None:
    root = restricted_pod()
    root["spec"]["securityContext"] = {"runAsUser": 0}
    with pytest.raises(client.ApiException, match="violates PodSecurity"):
        cluster.core.create_namespaced_pod(namespace, {"metadata": {"name": "root"}, **root})


def test_a_service_account_kubeconfig_has_its_rights_and_no_more(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    cluster.kubectl("-n", namespace, "create", "serviceaccount", "reader")
    cluster.kubectl("-n", namespace, "create", "role", "reader", "--verb=list", "--resource=pods")
    cluster.kubectl(
        "-n", namespace, "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader"
    )

    limited = cluster.kubeconfig_for(namespace, "reader", tmp_path / "kubeconfig")

    core = Cluster(limited, cluster.kubectl_program).core
    assert core.list_namespaced_pod(namespace).items == []
    with pytest.raises(client.ApiException, match=r"cannot list resource .+secrets"):
        core.list_namespaced_secret(namespace)
    assert limited.stat().st_mode & 0o077 == 0


def test_kubectl_says_what_was_wrong(cluster: Cluster) -> None:
    with pytest.raises(KubectlError, match='"nowhere" not found'):
        cluster.kubectl("get", "namespace", "nowhere")
