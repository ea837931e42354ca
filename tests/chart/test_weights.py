"""The claim for the models' weights and the Job that fills it, as Helm renders them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.chart.conftest import CHART
from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.control_plane

Manifest = dict[str, Any]
Values = dict[str, Any]

IMAGE = "registry.example/worker:gpu"


def values(**weights: Any) -> Values:
    fetch = {"enabled": True, "image": IMAGE, **weights.pop("fetch", {})}
    return {"weights": {"namespaces": ["films"], "claim": {"create": True}, "fetch": fetch, **weights}}


def of_kind(documents: list[Manifest], kind: str) -> list[Manifest]:
    return [each for each in documents if each["kind"] == kind and "weights" in each["metadata"]["name"]]


def job(documents: list[Manifest]) -> Manifest:
    (found,) = of_kind(documents, "Job")
    return found


def containers(documents: list[Manifest]) -> dict[str, Manifest]:
    """By name, in the order in which they run."""
    pod = job(documents)["spec"]["template"]["spec"]
    return {each["name"]: each for each in [*pod.get("initContainers", ()), *pod["containers"]]}


def test_nothing_is_claimed_or_fetched_unasked(render: Any) -> None:
    assert not [each for each in render() if each["kind"] in ("Job", "PersistentVolumeClaim")]


def test_each_namespace_gets_a_claim_that_outlives_the_chart_and_a_job_that_fills_it(render: Any) -> None:
    claim = {"create": True, "name": "models", "size": "300Gi", "storageClass": "fast"}
    documents = render(values(namespaces=["films", "clips"], claim=claim))
    for kind in ("PersistentVolumeClaim", "Job"):
        assert [each["metadata"]["namespace"] for each in of_kind(documents, "Job")] == ["films", "clips"], kind
    claims = [each for each in documents if each["kind"] == "PersistentVolumeClaim"]
    assert [(each["metadata"]["name"], each["metadata"]["namespace"]) for each in claims] == [
        ("models", "films"),
        ("models", "clips"),
    ]
    assert claims[0]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claims[0]["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "300Gi"}},
    }
    for each in of_kind(documents, "Job"):
        volumes = each["spec"]["template"]["spec"]["volumes"]
        assert {"name": "weights", "persistentVolumeClaim": {"claimName": "models"}} in volumes


def test_a_claim_that_is_there_is_filled_and_not_made(render: Any) -> None:
    documents = render(values(claim={"create": False, "name": "mine"}))
    assert not [each for each in documents if each["kind"] == "PersistentVolumeClaim"]
    volumes = job(documents)["spec"]["template"]["spec"]["volumes"]
    assert {"name": "weights", "persistentVolumeClaim": {"claimName": "mine"}} in volumes


def test_what_is_fetched_is_then_converted(render: Any) -> None:
    steps = containers(render(values()))
    assert [step["args"] for step in steps.values()] == [
        ["weights", "fetch", "/weights"],
        ["weights", "convert", "/weights"],
    ]
    assert {step["image"] for step in steps.values()} == {IMAGE}
    for step in steps.values():
        assert {"name": "weights", "mountPath": "/weights"} in step["volumeMounts"]
        assert step["resources"]["limits"]["memory"]
    alone = containers(render(values(fetch={"convert": False, "parts": ["speech", "kokoro"]})))
    assert [step["args"] for step in alone.values()] == [
        ["weights", "fetch", "/weights", "--only", "speech", "--only", "kokoro"]
    ]


def test_the_token_is_a_reference_and_known_to_fetching_alone(render: Any) -> None:
    fetch = {"token": {"secretName": "hub"}, "env": {"HF_ENDPOINT": "https://hub.example", "NO_PROXY": "10.0.0.0/8"}}
    steps = containers(render(values(fetch=fetch)))
    known = {entry["name"]: entry for entry in steps["fetch"]["env"]}
    assert known["HF_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "hub", "key": "HF_TOKEN"}}
    assert known["HF_ENDPOINT"]["value"] == "https://hub.example"
    assert known["NO_PROXY"]["value"] == "10.0.0.0/8"
    assert {entry["name"] for entry in steps["convert"]["env"]} == {"HOME", "TMPDIR"}
    without = containers(render(values()))["fetch"]["env"]
    assert {entry["name"] for entry in without} == {"HOME", "TMPDIR"}


def test_the_pod_runs_where_it_is_told_to(render: Any) -> None:
    toleration = {"key": "storage", "operator": "Exists"}
    where = {"nodeSelector": {"disk": "big"}, "tolerations": [toleration], "imagePullSecrets": [{"name": "pull"}]}
    pod = job(render(values(fetch=where)))["spec"]["template"]["spec"]
    assert (pod["nodeSelector"], pod["tolerations"]) == ({"disk": "big"}, [toleration])
    assert pod["imagePullSecrets"] == [{"name": "pull"}]


def test_an_upgrade_that_changes_the_work_starts_a_new_job_and_any_other_keeps_the_old(render: Any) -> None:
    def name(changes: Values) -> str:
        return str(job(render(changes))["metadata"]["name"])

    usual = name(values())
    assert name(values() | {"logLevel": "debug", "image": {"tag": "2"}}) == usual
    assert name(values(fetch={"image": "registry.example/worker:next"})) != usual
    assert name(values(fetch={"parts": ["base"]})) != usual
    assert name(values(claim={"create": True, "name": "others"})) != usual


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (values(namespaces=[]), "weights.namespaces"),
        (values(fetch={"image": ""}), "weights.fetch.image"),
        (values(claim={"create": True, "accessModes": ["ReadWriteOften"]}), "accessModes"),
        (values(fetch={"tokn": "x"}), "tokn"),
    ],
)
def test_what_cannot_work_is_refused_and_named(helm: Any, wrong: Values, named: str) -> None:
    done = helm("template", "talkingvideo", str(CHART), values=wrong)
    assert done.returncode != 0
    assert named in done.stderr


def test_the_policy_lets_it_out_as_far_as_a_fetching_worker(render: Any) -> None:
    store = {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 9000}]}
    policy = {"networkPolicy": {"enabled": True, "namespaces": ["films"], "extraEgress": [store]}}
    documents = render(values() | policy)
    policies = {each["metadata"]["name"]: each["spec"] for each in documents if each["kind"] == "NetworkPolicy"}
    weights = policies["talkingvideo-weights"]
    worker = [*policies["talkingvideo-workers"]["egress"], *policies["talkingvideo-public"]["egress"]]
    assert sorted(weights["egress"], key=str) == sorted(worker, key=str)
    labels = job(documents)["spec"]["template"]["metadata"]["labels"]
    assert weights["podSelector"]["matchLabels"].items() <= labels.items()
    assert "app.kubernetes.io/managed-by" in labels
    assert labels["app.kubernetes.io/managed-by"] != "talkingvideo-operator"


def test_an_api_server_accepts_it_and_the_pod_keeps_to_the_restricted_standard(
    render: Any, cluster: Cluster, namespace: str
) -> None:
    documents = render(
        values(namespaces=[namespace], fetch={"token": {"secretName": "hub"}})
        | {"networkPolicy": {"enabled": True, "namespaces": [namespace]}}
    )
    ours = [each for each in documents if each["metadata"].get("namespace") == namespace]
    assert {each["kind"] for each in ours} == {"PersistentVolumeClaim", "Job", "NetworkPolicy"}
    for document in ours:
        cluster.kubectl("-n", namespace, "apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(document))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "weights"},
        "spec": job(documents)["spec"]["template"]["spec"],
    }
    cluster.kubectl("-n", namespace, "create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))
