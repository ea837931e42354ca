"""The chart's gateway: off by default, with the least rights, and with a configuration that fits the operator's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.conftest import CHART, rights

from talkingvideo_api.profile import Profile
from talkingvideo_clients.kube.objects import Video
from talkingvideo_gateway.cluster.media import S3Media
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.settings import GatewayConfig, load_config
from talkingvideo_operator.planning.policy import refusals
from talkingvideo_operator.settings import OperatorConfig

pytestmark = pytest.mark.control_plane

Manifest = dict[str, Any]
TOKENS = {"tokens": {"secretName": "callers"}}
NAME = "talkingvideo-gateway"


def gateway(**values: Any) -> dict[str, Any]:
    return {"gateway": {"enabled": True, "authentication": TOKENS, **values}}


def of_gateway(documents: list[Manifest], kind: str, name: str = NAME) -> Manifest:
    found = [each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(found) == 1, [(each["kind"], each["metadata"]["name"]) for each in documents]
    return found[0]


def configuration(documents: list[Manifest], folder: Path) -> GatewayConfig:
    file = folder / "gateway.yaml"
    file.write_text(of_gateway(documents, "ConfigMap")["data"]["config.yaml"])
    return load_config(file)


def pod(documents: list[Manifest]) -> Manifest:
    spec: Manifest = of_gateway(documents, "Deployment")["spec"]["template"]["spec"]
    return spec


def test_by_default_there_is_no_gateway(render: Any) -> None:
    assert not [each for each in render() if "gateway" in each["metadata"]["name"]]


def test_the_gateway_changes_nothing_of_the_operator(render: Any) -> None:
    with_gateway = [each for each in render(gateway()) if not each["metadata"]["name"].startswith(NAME)]
    assert with_gateway == render()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (gateway(authentication={}), "gateway.authentication"),
        (gateway(ingress={"enabled": True}), "gateway.ingress.host"),
        (gateway(replica=3), "replica"),
        (gateway(config={"limitz": {}}), "limitz"),
        (gateway(config={"limits": {"queue": "many"}}), "/gateway/config/limits/queue"),
        (gateway(publicUrl="videos.example.com"), "/gateway/publicUrl"),
    ],
)
def test_a_wrong_value_is_refused_and_named(helm: Any, values: dict[str, Any], named: str) -> None:
    done = helm("template", "talkingvideo", str(CHART), values=values)
    assert done.returncode != 0
    assert named in done.stderr


PROFILE = {
    "engine": "infinitetalk",
    "gpu": {},
    "defaultStore": "films",
    "stores": {
        "default": {"s3": None, "pvc": {"claim": "media"}},
        "films": {"s3": {"bucket": "b", "prefix": "shared/", "endpoint": "http://minio:9000", "secretName": "s3"}},
    },
}


def test_namespaces_stores_and_lease_are_those_of_the_operator(render: Any, tmp_path: Path) -> None:
    values = {
        "namespaces": ["films", "clips"],
        "profiles": {"default": PROFILE},
        "config": {"lease": {"name": "mine"}},
        **gateway(
            publicUrl="https://v.example.com", config={"limits": {"queue": 5}, "cluster": {"inputs": ["pvc://m/"]}}
        ),
    }
    config = configuration(render(values), tmp_path)
    assert (config.namespace, config.cluster.namespaces) == ("films", ("films", "clips"))
    assert (config.public_url, config.limits.queue, config.cluster.inputs) == (
        "https://v.example.com",
        5,
        ("pvc://m/",),
    )
    assert (config.cluster.engine, config.cluster.gpu, config.cluster.default_store) == ("infinitetalk", True, "films")
    (store,) = config.cluster.stores.values()
    assert (store.s3.bucket, store.s3.prefix, store.s3.endpoint) == ("b", "shared", "http://minio:9000")
    lease = config.cluster.operator_lease
    assert lease is not None and (lease.name, lease.namespace) == ("mine", "videos")
    assert "secretName" not in str(config.model_dump(by_alias=True))


def test_what_the_gateway_uploads_the_operators_profile_lets_videos_read(
    render: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no more than a bucket: neither side needs a setting for the other."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    documents = render({"profiles": {"default": PROFILE}, **gateway()})
    operator = OperatorConfig.model_validate(
        yaml.safe_load(of_gateway(documents, "ConfigMap", "talkingvideo")["data"]["config.yaml"])
    )
    uploads = S3Media(configuration(documents, tmp_path).cluster)
    uri = "s3://b/shared/films/uploads/alice/abc"
    assert uploads.may_name(Caller("alice", "films"), uri)
    profile: Profile = operator.profiles["default"]
    video = Video.of(document(uri))
    assert video.spec is not None
    assert list(refusals(video, video.spec, profile, operator.profiles.values())) == []
    elsewhere = Video.of(document("s3://b/shared/clips/uploads/alice/abc"))
    assert elsewhere.spec is not None
    assert list(refusals(elsewhere, elsewhere.spec, profile, operator.profiles.values()))


def document(uri: str) -> Manifest:
    return {
        "apiVersion": "talkingvideo.dev/v1alpha1",
        "kind": "TalkingVideo",
        "metadata": {
            "name": "a",
            "namespace": "films",
            "uid": "11111111-2222-3333-4444-555555555555",
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"source": {"image": {"uri": uri}}, "speech": {"speakers": [{"audio": {"uri": uri}}]}},
    }


VIDEOS = {("talkingvideo.dev", "talkingvideos", verb) for verb in ("get", "list", "watch", "create", "patch", "delete")}
LEASE = {("coordination.k8s.io", "leases/talkingvideo", "get")}
REVIEWS = {
    ("authentication.k8s.io", "tokenreviews", "create"),
    ("authorization.k8s.io", "subjectaccessreviews", "create"),
}


def gateways_rights(documents: list[Manifest]) -> set[tuple[str, str, str]]:
    roles = (each for each in documents if each["kind"] in ("ClusterRole", "Role"))
    return rights(*(each for each in roles if each["metadata"]["name"].startswith(NAME)))


@pytest.mark.parametrize(
    ("kubernetes", "expected"),
    [(False, VIDEOS | LEASE), (True, VIDEOS | LEASE | REVIEWS)],
    ids=["tokens", "kubernetes"],
)
def test_the_rights_are_those_on_videos_and_to_review_only_where_that_is_asked_for(
    render: Any, kubernetes: bool, expected: set[tuple[str, str, str]]
) -> None:
    documents = render(gateway(authentication={**TOKENS, "kubernetes": {"enabled": kubernetes}}))
    assert gateways_rights(documents) == expected


def test_rights_on_videos_are_only_in_the_served_namespaces(render: Any) -> None:
    documents = render({"namespaces": ["films", "clips"], **gateway()})
    own = [each for each in documents if each["metadata"]["name"].startswith(NAME)]
    assert not [each for each in own if each["kind"].startswith("Cluster")]
    assert sorted(each["metadata"]["namespace"] for each in own if each["kind"] == "Role") == [
        "clips",
        "films",
        "videos",
    ]
    for binding in (each for each in own if each["kind"] == "RoleBinding"):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": "videos"}]


def test_the_pod_meets_the_restricted_standard_and_writes_to_a_bounded_folder_only(render: Any) -> None:
    spec = pod(render(gateway()))
    (container,) = spec["containers"]
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["seccompProfile"]) == (
        True,
        {"type": "RuntimeDefault"},
    )
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = [each["name"] for each in container["volumeMounts"] if not each.get("readOnly")]
    assert writable == ["tmp"]
    assert next(each for each in spec["volumes"] if each["name"] == "tmp")["emptyDir"] == {"sizeLimit": "2Gi"}
    assert container["resources"]["limits"]["memory"]


def test_secrets_are_mounted_where_the_configuration_says_and_are_no_part_of_it(render: Any, tmp_path: Path) -> None:
    documents = render(gateway(s3={"secretName": "s3"}, linkKey={"secretName": "signing", "key": "k"}))
    spec, config = pod(documents), configuration(documents, tmp_path)
    (container,) = spec["containers"]
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in spec["volumes"]}
    assert volumes[mounts[str(config.authentication.tokens)]]["secret"]["secretName"] == "callers"
    assert config.link_key is not None
    key = volumes[mounts[str(config.link_key.parent)]]["secret"]
    assert (key["secretName"], key["items"]) == ("signing", [{"key": "k", "path": config.link_key.name}])
    assert container["envFrom"] == [{"secretRef": {"name": "s3"}}]
    assert not [each for each in documents if each["kind"] == "Secret"]


def test_a_link_key_is_made_where_none_is_named(render: Any) -> None:
    keys = [of_gateway(render(gateway()), "Secret", f"{NAME}-key")["data"]["key"] for _ in range(2)]
    assert keys[0] != keys[1] and all(len(key) >= 64 for key in keys)


def test_a_changed_configuration_starts_new_pods_one_after_another(render: Any) -> None:
    def deployment(**values: Any) -> Manifest:
        spec: Manifest = of_gateway(render(gateway(**values)), "Deployment")["spec"]
        return spec

    plain, changed = deployment(), deployment(config={"linkSeconds": 60})
    assert plain["template"]["metadata"]["annotations"] != changed["template"]["metadata"]["annotations"]
    assert plain["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert plain["replicas"] == 2


def test_service_and_ingress_lead_to_the_pods(render: Any) -> None:
    documents = render(gateway(ingress={"enabled": True, "host": "v.example.com", "tlsSecretName": "tls"}))
    deployment, service = of_gateway(documents, "Deployment"), of_gateway(documents, "Service")
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    (container,) = pod(documents)["containers"]
    assert service["spec"]["ports"][0]["targetPort"] in {each["name"] for each in container["ports"]}
    ingress = of_gateway(documents, "Ingress")["spec"]
    assert ingress["rules"][0]["host"] == ingress["tls"][0]["hosts"][0] == "v.example.com"
    assert ingress["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] == NAME


def test_the_operators_pod_is_not_the_gateways_and_the_other_way_round(render: Any) -> None:
    documents = render(gateway())
    labels = of_gateway(documents, "Deployment")["spec"]["template"]["metadata"]["labels"]
    operator = of_gateway(documents, "Deployment", "talkingvideo")["spec"]
    assert not operator["selector"]["matchLabels"].items() <= labels.items()
    assert labels["app.kubernetes.io/managed-by"] == "Helm", "no policy for workers' pods concerns it"


def test_the_network_policy_opens_the_metrics_only_to_whom_the_values_name(render: Any) -> None:
    def policy(**values: Any) -> Manifest:
        documents = render(
            {"networkPolicy": {"enabled": True, "namespaces": ["films"], "gateway": values}, **gateway()}
        )
        spec: Manifest = of_gateway(documents, "NetworkPolicy")["spec"]
        return spec

    def ports(spec: Manifest) -> list[int]:
        return [each["port"] for rule in spec["ingress"] for each in rule["ports"]]

    peer = [{"podSelector": {"matchLabels": {"app": "proxy"}}}]
    assert ports(policy()) == [8000]
    assert "from" not in policy()["ingress"][0]
    named = policy(ingressFrom=peer, metricsFrom=peer)
    assert ports(named) == [8000, 9090]
    assert all(rule["from"] == peer for rule in named["ingress"])
