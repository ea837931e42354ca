"""The Helm chart and the kustomize base, as Helm and kubectl render them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts.values_schema import rendered as rendered_schema
from tests.chart.conftest import rights
from tests.cluster.binaries import binary
from tests.cluster.cluster import Cluster
from tests.cluster.unavailable import skipped_when_unavailable

from talkingvideo_api.crd import custom_resource_definition
from talkingvideo_operator.settings import OperatorConfig, load

pytestmark = pytest.mark.control_plane
ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "talkingvideo"
BASE = ROOT / "manifests" / "base"

Values = dict[str, Any]
Manifest = dict[str, Any]


def only(documents: list[Manifest], kind: str, name: str = "talkingvideo") -> Manifest:
    found = [each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(found) == 1, [(each["kind"], each["metadata"]["name"]) for each in documents]
    return found[0]


def configuration(documents: list[Manifest], folder: Path) -> OperatorConfig:
    file = folder / "config.yaml"
    file.write_text(only(documents, "ConfigMap")["data"]["config.yaml"])
    return load(file)


def base_documents() -> Iterator[Manifest]:
    for file in sorted(BASE.glob("*.yaml")):
        yield from (each for each in yaml.safe_load_all(file.read_text()) if each.get("metadata"))


def test_helm_finds_nothing_wrong(helm: Any) -> None:
    done = helm("lint", str(CHART), "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_default_values_make_a_configuration_that_loads(render: Any, tmp_path: Path) -> None:
    config = configuration(render(), tmp_path)
    default = config.profiles["default"]
    assert default.engine == "preview"
    assert default.gpu is None, "the preview engine would wait for a GPU that it does not use"
    assert (config.namespaces, config.progress_from_logs) == ((), True)


def test_every_kind_of_value_reaches_the_configuration(render: Any, tmp_path: Path) -> None:
    values = {
        "namespaces": ["films"],
        "progressFromLogs": False,
        "config": {"maxParallel": 7, "lease": {"durationSeconds": 30}, "probePort": 9000},
        "profiles": {
            "default": {"stores": {"default": {"s3": None, "pvc": {"claim": "media"}}}},
            "gpu": {"workerImage": "w:1", "gpu": {"pricePerHour": 2}, "stores": {"default": {"s3": {"bucket": "b"}}}},
        },
    }
    documents = render(values)
    config = configuration(documents, tmp_path)
    assert config.namespaces == ("films",)
    assert config.progress_from_logs is False
    assert config.max_parallel == 7
    assert (config.lease.name, config.lease.namespace, config.lease.duration_seconds) == ("talkingvideo", "videos", 30)
    store = config.profiles["default"].stores["default"]
    assert store.s3 is None
    assert store.pvc is not None
    gpu = config.profiles["gpu"].gpu
    assert gpu is not None
    assert (gpu.resource, gpu.price_per_hour) == ("nvidia.com/gpu", 2)
    container = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["ports"] == [{"name": "probe", "containerPort": 9000}]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"progressFromLog": False}, "progressFromLog"),
        ({"profiles": {"default": {"workerImge": "w"}}}, "workerImge"),
        ({"profiles": {"default": {"render": {"attempts": 99}}}}, "/profiles/default/render/attempts"),
        ({"profiles": {"default": {"stores": {"default": {"s3": {"bukket": "b"}}}}}}, "bukket"),
        (
            {"profiles": {"default": {"stores": {"default": {"pvc": {"claim": "c"}}}}}},
            "profiles.default.stores.default",
        ),
        ({"config": {"maxParallell": 3}}, "maxParallell"),
        ({"namespaces": "films"}, "/namespaces"),
        ({"networkPolicy": {"enabled": True}}, "networkPolicy.namespaces"),
        ({"networkPolicy": {"enabled": True, "namespaces": ["a"], "fetchAlone": True}}, "networkPolicy.extraEgress"),
        ({"networkPolicy": {"dns": {"ports": []}}}, "/networkPolicy/dns/ports"),
        ({"admissionPolicy": {"enabled": "yes"}}, "/admissionPolicy/enabled"),
    ],
)
def test_a_wrong_value_is_refused_and_named(helm: Any, values: Values, named: str) -> None:
    done = helm("template", "talkingvideo", str(CHART), values=values)
    assert done.returncode != 0
    assert named in done.stderr


def test_the_rights_are_those_of_the_kustomize_base(render: Any) -> None:
    documents, base = render(), list(base_documents())
    assert rights(only(documents, "ClusterRole")) == rights(only(base, "ClusterRole", "talkingvideo-operator"))
    lease, base_lease = only(documents, "Role", "talkingvideo-lease"), only(base, "Role", "talkingvideo-operator")
    assert rights(lease) == {
        (group, name.replace("talkingvideo-operator", "talkingvideo"), verb) for group, name, verb in rights(base_lease)
    }


def test_nothing_is_readable_that_holds_secrets(render: Any) -> None:
    documents = render()
    roles = [each for each in documents if each["kind"] in ("ClusterRole", "Role")]
    assert not [right for right in rights(*roles) if right[1].startswith("secrets") or "*" in right]


def test_nobody_but_the_operator_is_given_a_right(render: Any) -> None:
    """Above all, no author of videos the one to write status: it says what is rendered by which image."""
    documents = render()
    bindings = [each for each in documents if each["kind"] in ("ClusterRoleBinding", "RoleBinding")]
    account = {"kind": "ServiceAccount", "name": "talkingvideo", "namespace": "videos"}
    assert [each["subjects"] for each in bindings] == [[account]] * 2
    roles = [each for each in documents if each["kind"] in ("ClusterRole", "Role")]
    assert not [label for each in roles for label in each["metadata"]["labels"] if "aggregate-to" in label]


def test_rights_are_only_in_the_served_namespaces(render: Any) -> None:
    documents = render({"namespaces": ["films", "clips"]})
    assert not [each for each in documents if each["kind"] in ("ClusterRole", "ClusterRoleBinding")]
    for kind in ("Role", "RoleBinding"):
        places = [each["metadata"]["namespace"] for each in documents if each["kind"] == kind]
        assert sorted(places) == ["clips", "films", "videos"]
    in_films = next(each for each in documents if each["kind"] == "Role" and each["metadata"]["namespace"] == "films")
    assert rights(in_films) == rights(only(render(), "ClusterRole"))


def test_without_progress_from_logs_there_is_no_right_to_logs(render: Any) -> None:
    given = rights(only(render(), "ClusterRole"))
    assert given - rights(only(render({"progressFromLogs": False}), "ClusterRole")) == {("", "pods/log", "get")}


def test_the_lease_that_may_be_written_is_the_one_that_is_configured(render: Any, tmp_path: Path) -> None:
    documents = render({"config": {"lease": {"name": "mine"}}})
    assert configuration(documents, tmp_path).lease.name == "mine"
    assert ("coordination.k8s.io", "leases/mine", "update") in rights(only(documents, "Role", "talkingvideo-lease"))


def test_the_pod_is_that_of_the_kustomize_base(render: Any) -> None:
    def essence(deployment: Manifest) -> Manifest:
        spec = deployment["spec"]["template"]["spec"]
        container = spec["containers"][0]
        own_names = {"serviceAccountName", "containers", "volumes"}
        kept = {key: value for key, value in spec.items() if key not in own_names}
        return kept | {key: value for key, value in container.items() if key not in ("image", "args")}

    chart = essence(only(render(), "Deployment"))
    assert chart == essence(only(list(base_documents()), "Deployment", "talkingvideo-operator"))


def test_a_changed_configuration_starts_a_new_pod(render: Any) -> None:
    def checksum(values: Values) -> str:
        annotations = only(render(values), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert checksum({}) == checksum({"image": {"tag": "2"}})
    assert checksum({}) != checksum({"config": {"maxParallel": 1}})


def test_the_resource_is_the_generated_one_and_stays_when_the_chart_goes(render: Any) -> None:
    installed = only(render(), "CustomResourceDefinition", "talkingvideos.talkingvideo.dev")
    assert installed["spec"] == custom_resource_definition()["spec"]
    assert installed["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    without = render({"crds": {"install": False}})
    assert not [each for each in without if each["kind"] == "CustomResourceDefinition"]


def test_copies_of_generated_files_are_current() -> None:
    crd = (ROOT / "crds" / "talkingvideo.yaml").read_text()
    assert (CHART / "files" / "talkingvideo.yaml").read_text() == crd, "make crds"
    assert (CHART / "values.schema.json").read_text() == rendered_schema(), "make crds"


def test_an_api_server_accepts_all_of_it(render: Any, cluster: Cluster, namespace: str) -> None:
    values = {"networkPolicy": {"enabled": True, "namespaces": [namespace]}, "admissionPolicy": {"enabled": True}}
    for document in render(values):
        document["metadata"].pop("namespace", None)
        scope = ("-n", namespace)
        cluster.kubectl(*scope, "apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(document))


def test_the_pod_keeps_to_the_restricted_standard(render: Any, cluster: Cluster, namespace: str) -> None:
    """The fresh namespace enforces it; a Deployment would only be warned about."""
    template = only(render(), "Deployment")["spec"]["template"]
    template["spec"]["serviceAccountName"] = "default"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": template["spec"]}
    cluster.kubectl("-n", namespace, "create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))


def test_kubectl_renders_the_kustomize_base_with_a_configuration_that_loads(tmp_path: Path) -> None:
    with skipped_when_unavailable():
        kubectl = str(binary("kubectl"))
    done = subprocess.run([kubectl, "kustomize", str(BASE)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    documents = list(yaml.safe_load_all(done.stdout))
    held = next(each for each in documents if each["kind"] == "ConfigMap")
    file = tmp_path / "config.yaml"
    file.write_text(held["data"]["config.yaml"])
    assert load(file).profiles["default"].stores
    volumes = only(documents, "Deployment", "talkingvideo-operator")["spec"]["template"]["spec"]["volumes"]
    assert {"name": held["metadata"]["name"]} in [volume.get("configMap") for volume in volumes]
