"""The chart's ValidatingAdmissionPolicies on a real API server: what the operator's token can create, and what it cannot."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import yaml
from kubernetes import client, config
from tests.chart.conftest import CHART
from tests.chart.hostile_objects import CHILDREN, CONFIG_MAPS, JOBS, Attack
from tests.chart.operator_jobs import FEATURES, PROFILES, Manifest, config_map_of, job_of, jobs_of
from tests.cluster.cluster import Cluster
from tests.control_plane.operator_process import wait_until

from talkingvideo_api.names import Stage

pytestmark = pytest.mark.control_plane

RELEASE = "guarded"
API = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
TOO_MANY_RIGHTS = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
"""The policies hold although RBAC gives more than the chart does."""


class Operator:
    """Whoever holds the token of the operator's ServiceAccount; nothing that it creates is kept."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._batch, self._core = client.BatchV1Api(api), client.CoreV1Api(api)
        self._events, self._leases = client.EventsV1Api(api), client.CoordinationV1Api(api)
        self.namespace = namespace

    def refusal(self, body: Manifest) -> str:
        """What the API server says to a creation; empty when it accepts."""
        creations: dict[str, Any] = {
            "Job": self._batch.create_namespaced_job,
            "ConfigMap": self._core.create_namespaced_config_map,
            "Event": self._events.create_namespaced_event,
            "Lease": self._leases.create_namespaced_lease,
        }
        create = creations[body["kind"]]
        return _refusal(lambda: create(self.namespace, body, dry_run="All"))

    def refusal_of_deletion(self, kind: str, name: str) -> str:
        """What the API server says to a deletion; empty when it would delete."""
        deletions: dict[str, Any] = {
            "Job": self._batch.delete_namespaced_job,
            "ConfigMap": self._core.delete_namespaced_config_map,
        }
        delete = deletions[kind]
        return _refusal(lambda: delete(name, self.namespace, dry_run="All"))

    def refusal_of_deletion_of_all(self) -> str:
        """What the API server says to the deletion of every ConfigMap."""
        return _refusal(lambda: self._core.delete_collection_namespaced_config_map(self.namespace, dry_run="All"))

    def refusal_of_change(self, name: str) -> str:
        """What the API server says to a change of a Job."""
        patch = {"spec": {"suspend": True}}
        return _refusal(lambda: self._batch.patch_namespaced_job(name, self.namespace, patch, dry_run="All"))


def _refusal(call: Callable[[], Any]) -> str:
    try:
        call()
    except client.ApiException as error:
        return str(error.body)
    return ""


@pytest.fixture(scope="module")
def documents(helm: Any) -> Callable[..., list[Manifest]]:
    def rendered(namespace: str, **values: Any) -> list[Manifest]:
        values = {
            "namespaces": [namespace],
            "profiles": {"default": None, **PROFILES},
            "crds": {"install": False},
        } | values
        done = helm("template", RELEASE, str(CHART), "--namespace", namespace, "--api-versions", API, values=values)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return rendered


@pytest.fixture(scope="module")
def operator(cluster: Cluster, documents: Any, tmp_path_factory: Any) -> Iterator[Operator]:
    """The chart's objects are installed, and their policies hold."""
    namespace = f"guarded-{uuid.uuid4().hex[:8]}"
    cluster.core.create_namespace({"metadata": {"name": namespace}})
    made = [each for each in documents(namespace) if each["kind"] != "Deployment"]
    role = next(each for each in made if each["kind"] == "Role" and "lease" not in each["metadata"]["name"])
    role["rules"].append(TOO_MANY_RIGHTS)
    cluster.apply(*made)
    token = cluster.kubeconfig_for(
        namespace, f"{RELEASE}-talkingvideo", tmp_path_factory.mktemp("token") / "kubeconfig"
    )
    holder = Operator(config.new_client_from_config(str(token)), namespace)  # type: ignore[no-untyped-call]
    try:
        for body in (*_unowned(namespace), *_not_ours()):
            wait_until(partial(holder.refusal, body), f"policies on {body['kind']}")
        yield holder
    finally:
        for each in made:
            if each["kind"].startswith("Validating"):
                cluster.kubectl("delete", each["kind"], each["metadata"]["name"])
        cluster.core.delete_namespace(namespace)


PLAIN = FEATURES["keys in a Secret"]


def _unowned(namespace: str) -> Iterator[Manifest]:
    """Objects that show which policies hold already: each is refused by one of them."""
    job, config_map = job_of(PLAIN, namespace, Stage.PREPARE), config_map_of(PLAIN, namespace)
    yield {**job, "spec": {**job["spec"], "backoffLimit": 3}}
    yield {**config_map, "immutable": False}
    yield {**config_map, "metadata": {**config_map["metadata"], "labels": {}}}


def _not_ours() -> Iterator[Manifest]:
    yield {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "kube-scheduler"}}


@pytest.mark.parametrize("feature", FEATURES.values(), ids=list(FEATURES))
def test_every_job_and_stage_input_of_the_operator_is_accepted(operator: Operator, feature: Any) -> None:
    for body in (*jobs_of(feature, operator.namespace), config_map_of(feature, operator.namespace)):
        assert operator.refusal(body) == "", body["metadata"]["name"]


def _rows(attacks: dict[str, Attack]) -> list[Any]:
    return [pytest.param(*attack, id=name) for name, attack in attacks.items()]


@pytest.mark.parametrize(("change", "reason"), _rows(CHILDREN | JOBS))
def test_a_hostile_job_is_refused_for_its_own_reason(operator: Operator, change: Any, reason: str) -> None:
    body = deepcopy(job_of(PLAIN, operator.namespace, Stage.PREPARE))
    change(body)
    assert reason in operator.refusal(body)


@pytest.mark.parametrize(("change", "reason"), _rows(CHILDREN | CONFIG_MAPS))
def test_a_hostile_config_map_is_refused_for_its_own_reason(operator: Operator, change: Any, reason: str) -> None:
    body = deepcopy(config_map_of(PLAIN, operator.namespace))
    change(body)
    assert reason in operator.refusal(body)


def _event(**changes: Any) -> Manifest:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"hello.{uuid.uuid4().hex}"},
        "eventTime": "2026-01-01T00:00:00.000001Z",
        "action": "Reconcile",
        "reason": "Accepted",
        "type": "Normal",
        "reportingController": "talkingvideo.dev/operator",
        "reportingInstance": "x",
        **changes,
    }


def test_events_are_of_videos_and_the_lease_is_its_own(operator: Operator) -> None:
    namespace = operator.namespace
    regarding = {
        "apiVersion": "talkingvideo.dev/v1alpha1",
        "kind": "TalkingVideo",
        "name": "hello",
        "namespace": namespace,
    }
    assert operator.refusal(_event(regarding=regarding)) == ""
    pod = {"apiVersion": "v1", "kind": "Pod", "name": "hello", "namespace": namespace}
    assert "events of TalkingVideos, as itself" in operator.refusal(_event(regarding=pod))
    assert "as itself" in operator.refusal(_event(regarding=regarding, reportingController="kubelet"))
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": f"{RELEASE}-talkingvideo"}}
    assert operator.refusal(lease) == ""
    assert "has one Lease" in operator.refusal(next(_not_ours()))


def test_only_children_of_videos_are_deleted_and_none_is_changed(cluster: Cluster, operator: Operator) -> None:
    namespace = operator.namespace
    own, others = job_of(PLAIN, namespace, Stage.STITCH), {"metadata": {"name": "others"}, "data": {"a": "b"}}
    cluster.batch.create_namespaced_job(namespace, {**own, "spec": {**own["spec"], "suspend": True}})
    cluster.core.create_namespaced_config_map(namespace, others)
    left_behind, planted = job_of(PLAIN, namespace, Stage.STITCH), config_map_of(PLAIN, namespace)
    for each in (left_behind, planted):
        each["metadata"] |= {"name": "of-nobody", "ownerReferences": []}
    cluster.batch.create_namespaced_job(namespace, {**left_behind, "spec": {**left_behind["spec"], "suspend": True}})
    cluster.core.create_namespaced_config_map(namespace, planted)
    assert operator.refusal_of_deletion("Job", own["metadata"]["name"]) == ""
    assert operator.refusal_of_deletion("Job", "of-nobody") == ""
    assert "only what one TalkingVideo owns" in operator.refusal_of_deletion("ConfigMap", "of-nobody")
    assert "changes no child" in operator.refusal_of_change(own["metadata"]["name"])
    assert "only what has its own labels" in operator.refusal_of_deletion("ConfigMap", "others")
    assert "only what has its own labels" in operator.refusal_of_deletion_of_all()


def test_nobody_else_is_held_to_them(cluster: Cluster, operator: Operator) -> None:
    body = {"metadata": {"name": "of-an-administrator"}, "data": {"a": "b"}}
    cluster.core.create_namespaced_config_map(operator.namespace, body, dry_run="All")


def test_the_api_server_finds_no_mistake_in_an_expression(cluster: Cluster, operator: Operator) -> None:
    def checked() -> dict[str, Any]:
        api: Any = client.AdmissionregistrationV1Api(cluster.api)
        policies = api.list_validating_admission_policy().items
        ours = [each for each in policies if each.metadata.name.startswith(f"{RELEASE}-")]
        return {each.metadata.name: each.status.type_checking for each in ours if each.status.type_checking}

    wait_until(lambda: len(checked()) == 5, "the expressions' types are checked")
    assert [result.expression_warnings for result in checked().values()] == [None] * 5


def jobs_policy(documents: list[Manifest]) -> Manifest:
    """The spec of the policy on Jobs."""
    found = (each for each in documents if each["kind"] == "ValidatingAdmissionPolicy")
    spec: Manifest = next(each["spec"] for each in found if each["metadata"]["name"].endswith("-jobs"))
    return spec


def test_a_wildcard_of_the_profile_allows_any_name(documents: Any) -> None:
    allow = {"secrets": ["*"], "claims": ["*"]}
    policy = jobs_policy(documents("films", profiles={"default": {"allow": allow}}))
    messages = " ".join(each["message"] for each in policy["validations"])
    assert "this Secret" not in messages
    assert "this PersistentVolumeClaim" not in messages


def test_the_names_of_all_profiles_are_permitted(helm: Any) -> None:
    """Whatever form they have: the schema of the values says which there are, and is not asked here."""
    allow = {"secrets": ["plain", {"name": "bound", "hosts": ["example.com"]}], "workerImages": ["worker:0"]}
    store = {"s3": {"secretName": "keys"}}
    profiles = {"default": None, "own": {"workerImage": "worker:1", "allow": allow, "stores": {"default": store}}}
    values = {"profiles": profiles, "admissionPolicy": {"enabled": True}}
    done = helm("template", RELEASE, str(CHART), "--skip-schema-validation", values=values)
    assert done.returncode == 0, done.stderr
    policy = jobs_policy([document for document in yaml.safe_load_all(done.stdout) if document])
    variables = {each["name"]: each["expression"] for each in policy["variables"]}
    lists = {name: json.loads(variables[name]) for name in ("images", "mountedSecrets", "keySecrets")}
    assert lists == {"images": ["worker:0", "worker:1"], "mountedSecrets": ["bound", "plain"], "keySecrets": ["keys"]}


@pytest.mark.parametrize(
    ("enabled", "served", "expected"),
    [("auto", True, 5), ("auto", False, 0), (True, False, 5), (False, True, 0)],
)
def test_policies_are_made_where_the_api_server_has_them_unless_told_otherwise(
    helm: Any, enabled: Any, served: bool, expected: int
) -> None:
    capability = ("--api-versions", API) if served else ()
    values = {"admissionPolicy": {"enabled": enabled}}
    done = helm("template", RELEASE, str(CHART), *capability, values=values)
    assert done.returncode == 0, done.stderr
    kinds = [document["kind"] for document in yaml.safe_load_all(done.stdout) if document]
    assert kinds.count("ValidatingAdmissionPolicy") == kinds.count("ValidatingAdmissionPolicyBinding") == expected


def test_helm_finds_the_policies_on_an_api_server_by_itself(helm: Any, cluster: Cluster) -> None:
    """As `helm install` does; `helm template` alone asks no API server."""
    asked = (
        "install",
        "another",
        str(CHART),
        "--dry-run=server",
        "--output",
        "json",
        "--kubeconfig",
        str(cluster.kubeconfig),
    )
    done = helm(*asked, values={"crds": {"install": False}})
    assert done.returncode == 0, done.stderr
    kinds = [document["kind"] for document in yaml.safe_load_all(json.loads(done.stdout)["manifest"]) if document]
    assert kinds.count("ValidatingAdmissionPolicy") == 5
