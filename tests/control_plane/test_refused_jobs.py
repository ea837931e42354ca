"""No accepted spec leads to Jobs that the API server refuses for ever: each video ends, or its Job exists."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.cluster import Cluster, KubectlError
from tests.cluster.fake_kubelet import FakeKubelet
from tests.control_plane.operator_process import (
    GROUP,
    PLURAL,
    VERSION,
    Sandbox,
    running_operator,
    video,
    wait_until,
)

from talkingvideo_api.names import ANNOTATION_OBJECT, LABEL_STAGE
from talkingvideo_api.reports import encode_report

LONG = "a" * 63

EVERYTHING = {
    "allow": {
        "inputBuckets": ["*"],
        "overrides": ["nodeSelector", "tolerations", "resources", "imagePullSecrets"],
        "secrets": ["*"],
        "claims": ["*"],
        "priorityClasses": ["*"],
        "outputNames": ["*"],
    }
}

ODD: dict[str, dict[str, Any]] = {
    "selector-key": {"overrides": {"nodeSelector": {"a b": "x"}}},
    "selector-slashes": {"overrides": {"nodeSelector": {"a/b/c": "x"}}},
    "selector-value": {"overrides": {"nodeSelector": {"a": "x y"}}},
    "toleration-nothing": {"overrides": {"tolerations": [{}]}},
    "toleration-exists": {"overrides": {"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}},
    "toleration-seconds": {"overrides": {"tolerations": [{"key": "a", "value": "x", "tolerationSeconds": 1}]}},
    "quantity": {"overrides": {"resources": {"limits": {"cpu": "many"}}}},
    "quantity-exponent": {"overrides": {"resources": {"limits": {"cpu": "1e99"}}}},
    "quantity-tiny": {"overrides": {"resources": {"limits": {"cpu": "1n"}}}},
    "quantity-negative": {"overrides": {"resources": {"limits": {"cpu": "-1"}}}},
    "resource-unknown": {"overrides": {"resources": {"limits": {"gpu": "1"}}}},
    "resource-native": {"overrides": {"resources": {"limits": {"kubernetes.io/x": "1"}}}},
    "resource-requests": {"overrides": {"resources": {"limits": {"requests.x.com/y": "1"}}}},
    "resource-fraction": {"overrides": {"resources": {"limits": {"example.com/fpga": "0.5"}}}},
    "resource-request": {"overrides": {"resources": {"requests": {"example.com/fpga": "1"}}}},
    "resource-hugepages": {"overrides": {"resources": {"limits": {"hugepages-2Mi": "3Ki"}}}},
    "request-above-limit": {"overrides": {"resources": {"requests": {"cpu": "9"}, "limits": {"cpu": "1"}}}},
    "memory-below-request": {"overrides": {"resources": {"limits": {"cpu": "50m"}}}},
    "pull-secret": {"overrides": {"imagePullSecrets": ["a.b", "a.b", LONG * 4]}},
    "queue": {"queueName": "a b"},
    "queue-long": {"queueName": "a.b" * 21},
    "priority": {"priority": "not-there"},
    "map": {"source": {"image": {"uri": "configmap://A_B/key"}}},
    "map-long": {"source": {"image": {"uri": f"configmap://{'m' * 253}/key"}}},
    "claim": {"source": {"image": {"uri": "pvc://A_B/key"}}},
    "claim-colon": {"source": {"image": {"uri": "pvc://a:b/key"}}},
    "claim-long": {"source": {"image": {"uri": f"pvc://{'c' * 2_000}/key"}}},
    "headers": {"source": {"image": {"uri": "https://example.com/a", "headersSecretName": "a.b" * 80}}},
    "output": {"output": {"name": "\u0007{namespace}/\u2028{date}"}},
    "output-claim": {"output": {"pvc": {"claim": "x.y.z", "path": "a/b"}}},
    "gpus": {"render": {"gpusPerChunk": 8}, "overrides": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}},
    "gpus-requested": {"overrides": {"resources": {"requests": {"nvidia.com/gpu": "2"}}}},
    "a" * 253: {},
    "a.-b"[:2] + "b." + "c" * 33 + ".d": {},
}


@pytest.fixture
def permissive(installed: Cluster, fake_kubelet: FakeKubelet, namespace: str, tmp_path: Path) -> Any:
    """An operator whose profile allows everything."""
    with running_operator(
        installed, tmp_path, namespace, profile=EVERYTHING, lease={"durationSeconds": 15}
    ) as operator:
        yield Sandbox(installed, fake_kubelet, namespace, operator, chunks=1)


def accepted(sandbox: Sandbox) -> list[str]:
    """Create the odd videos; returns the names of those that the API server accepts."""
    names = []
    for name, changes in ODD.items():
        try:
            sandbox.cluster.kubectl(
                "apply", "-n", sandbox.namespace, "--filename=-", stdin=json.dumps(video(name, **changes))
            )
            names.append(name)
        except KubectlError as error:
            assert "spec" in str(error) or "metadata" in str(error)
    return names


def statuses(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    listed = sandbox.cluster.objects.list_namespaced_custom_object(GROUP, VERSION, sandbox.namespace, PLURAL)
    return {item["metadata"]["name"]: item["status"] for item in listed["items"]}


def finish_prepare(sandbox: Sandbox) -> None:
    """All pods of prepare that are scheduled report success."""
    selector = f"{LABEL_STAGE}=prepare"
    for pod in sandbox.cluster.core.list_namespaced_pod(sandbox.namespace, label_selector=selector).items:
        if pod.status.phase == "Pending" and pod.spec.node_name:
            sandbox.kubelet.finish_pod(pod, message=encode_report(sandbox.report(pod)))


def with_last_job(sandbox: Sandbox) -> set[str]:
    """The videos that have a Job to render with, or one that waits for Kueue."""
    jobs = sandbox.cluster.batch.list_namespaced_job(sandbox.namespace).items
    last = (job for job in jobs if job.metadata.labels[LABEL_STAGE] == "render" or job.spec.suspend)
    return {job.metadata.annotations[ANNOTATION_OBJECT] for job in last}


def is_explained(status: dict[str, Any]) -> bool:
    """Whether it has ended, or says why its pod does not exist or finds no node: its claim, or its class, may appear."""
    waits = any(condition["reason"] == "Unschedulable" for condition in status.get("conditions", ()))
    return waits or status.get("phase") == "Failed"


def test_every_accepted_object_ends_or_has_its_job(permissive: Sandbox) -> None:
    names = {*accepted(permissive)}
    assert len(names) >= 15
    open_ended = set(names)

    def settled() -> bool:
        finish_prepare(permissive)
        explained = {name for name, status in statuses(permissive).items() if is_explained(status)}
        open_ended.difference_update(explained, with_last_job(permissive))
        return not open_ended

    try:
        wait_until(settled, "every video ends or renders", timeout=180)
    except TimeoutError:
        raise AssertionError(sorted(open_ended)) from None
    failures = {name: status["failure"] for name, status in statuses(permissive).items() if "failure" in status}
    assert all(failure["code"] == "E_INPUT_VALIDATION" for failure in failures.values()), failures
    above = failures["request-above-limit"]
    assert (above["field"], above["retryable"]) == ("spec.overrides.resources", False)
    assert "must be less than or equal to cpu limit" in above["message"]


def policy(name: str, namespace: str) -> list[dict[str, Any]]:
    """A ValidatingAdmissionPolicy that refuses every Job of a namespace."""
    group = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return [
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": "false", "message": "no Jobs today"}],
            },
        },
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": selector},
            },
        },
    ]


def test_a_policy_that_refuses_jobs_is_shown_and_the_video_goes_on_once_it_is_gone(sandbox: Sandbox) -> None:
    name = f"no-jobs-{uuid.uuid4().hex[:6]}"
    sandbox.cluster.apply(*policy(name, sandbox.namespace))
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "probe"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}},
    }

    def refuses() -> bool:
        try:
            sandbox.cluster.kubectl(
                "create", "-n", sandbox.namespace, "--dry-run=server", "--filename=-", stdin=json.dumps(job)
            )
        except KubectlError as error:
            return "no Jobs today" in str(error)
        return False

    try:
        wait_until(refuses, "the policy is active")
        sandbox.apply(video())
        wait_until(
            lambda: "no Jobs today" in sandbox.cluster.kubectl("describe", "tv/hello", "-n", sandbox.namespace),
            "the refusal is shown",
        )
        assert sandbox.status().get("phase") == "Preparing"
    finally:
        for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"):
            sandbox.cluster.kubectl("delete", kind, name)
    sandbox.pod("prepare", timeout=60)


def test_weights_and_profiles_are_read_from_the_real_namespace(
    installed: Cluster, fake_kubelet: FakeKubelet, namespace: str, tmp_path: Path
) -> None:
    installed.kubectl("label", "namespace", namespace, "team=films")
    installed.kubectl("annotate", "namespace", namespace, "talkingvideo.dev/max-parallel-prepare=2")
    selector = {"namespaceSelector": {"matchLabels": {"team": "films"}}}
    with running_operator(installed, tmp_path, namespace, profile=selector, lease={"durationSeconds": 15}) as operator:
        sandbox = Sandbox(installed, fake_kubelet, namespace, operator)
        for number in range(5):
            sandbox.apply(video(f"v{number}"))
        wait_until(lambda: sandbox.status("v4").get("queuePosition"), "the last one waits")
        assert len(sandbox.jobs()) == 2
        assert "orbidden" not in operator.log.read_text()
