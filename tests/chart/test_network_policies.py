"""The chart's NetworkPolicies: what each pod can reach, and who reaches it, read from the rendered rules."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from tests.chart.operator_jobs import FEATURES, jobs_of

pytestmark = pytest.mark.control_plane

Manifest = dict[str, Any]

STORE = {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 9000}]}
ENABLED = {"enabled": True, "namespaces": ["films"], "extraEgress": [STORE]}
PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:4700::1111")
NOT_PUBLIC = (
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "0.0.0.0", "100.64.0.1"),
    *("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1"),
    *(
        "::1",
        "fd00::1",
        "fe80::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
    ),
)
"""Private addresses, metadata services, and others that are nobody's server."""


@pytest.fixture
def policies(render: Any) -> Any:
    def rendered(**values: Any) -> list[Manifest]:
        documents = render({"networkPolicy": ENABLED | values})
        return [each for each in documents if each["kind"] == "NetworkPolicy"]

    return rendered


def pod_labels(stage: str) -> dict[str, str]:
    """The labels of the operator's own pods."""
    jobs = jobs_of(FEATURES["keys in a Secret"], "films")
    labels = (job["spec"]["template"]["metadata"]["labels"] for job in jobs)
    return next(found for found in labels if found["talkingvideo.dev/stage"] == stage)


def concerning(policies: list[Manifest], namespace: str, labels: dict[str, str]) -> list[Manifest]:
    """The policies that select a pod."""
    return [
        each["spec"]
        for each in policies
        if each["metadata"]["namespace"] == namespace
        and each["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    ]


def egress(policies: list[Manifest], namespace: str, labels: dict[str, str]) -> Iterator[Manifest]:
    for policy in concerning(policies, namespace, labels):
        yield from policy["egress"]


def reaches(rules: Iterator[Manifest], address: str, port: int) -> bool:
    """Whether rules let a pod reach an address over TCP."""
    return any(
        {"protocol": "TCP", "port": port} in rule["ports"]
        and ("to" not in rule or any(_matches(peer.get("ipBlock"), address) for peer in rule["to"]))
        for rule in rules
    )


def _matches(block: Manifest | None, address: str) -> bool:
    if block is None:
        return False
    found = ip_address(address)
    return found in ip_network(block["cidr"]) and not any(found in ip_network(each) for each in block.get("except", ()))


def test_there_are_none_unless_asked_for(policies: Any) -> None:
    assert not policies(enabled=False)


@pytest.mark.parametrize("stage", ["prepare", "render", "stitch"])
def test_nobody_reaches_a_worker(policies: Any, stage: str) -> None:
    found = concerning(policies(), "films", pod_labels(stage))
    assert [policy["ingress"] for policy in found if "Ingress" in policy["policyTypes"]] == [[]]
    assert any("Egress" in policy["policyTypes"] for policy in found)


@pytest.mark.parametrize("fetch_alone", [False, True])
@pytest.mark.parametrize("stage", ["prepare", "render", "stitch"])
def test_every_stage_reaches_the_store_and_names(policies: Any, stage: str, fetch_alone: bool) -> None:
    rules = list(egress(policies(fetchAlone=fetch_alone), "films", pod_labels(stage)))
    assert STORE in rules
    kube_system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    (dns,) = (rule for rule in rules if {"protocol": "UDP", "port": 53} in rule["ports"])
    assert kube_system in dns["to"]


@pytest.mark.parametrize(
    ("stage", "fetch_alone", "reached"),
    [
        ("prepare", False, True), ("render", False, True), ("stitch", False, True),
        ("prepare", True, True), ("render", True, False), ("stitch", True, False),
    ],
)  # fmt: skip
def test_the_world_is_reached_by_https_and_where_told_so_by_prepare_alone(
    policies: Any, stage: str, fetch_alone: bool, reached: bool
) -> None:
    made = policies(fetchAlone=fetch_alone)
    for address in PUBLIC:
        assert reaches(egress(made, "films", pod_labels(stage)), address, 443) is reached, address
        assert not reaches(egress(made, "films", pod_labels(stage)), address, 80)
        assert not reaches(egress(made, "films", pod_labels(stage)), address, 53)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_stage_reaches_private_addresses_and_metadata_services(policies: Any, address: str) -> None:
    made = policies()
    for stage in ("prepare", "render", "stitch"):
        assert not any(reaches(egress(made, "films", pod_labels(stage)), address, port) for port in (80, 443))


def test_fetching_alone_needs_no_store_on_the_network_where_it_is_a_volume(policies: Any, render: Any) -> None:
    profile = {"stores": {"default": {"s3": None, "pvc": {"claim": "media"}}}}
    render({"networkPolicy": ENABLED | {"fetchAlone": True, "extraEgress": []}, "profiles": {"default": profile}})


def operator(documents: list[Manifest]) -> Manifest:
    return next(each["spec"]["template"] for each in documents if each["kind"] == "Deployment")


def test_the_operator_reaches_the_api_server_and_names_and_nobody_reaches_it(render: Any) -> None:
    documents = render({"networkPolicy": ENABLED})
    labels = operator(documents)["metadata"]["labels"]
    (policy,) = concerning([each for each in documents if each["kind"] == "NetworkPolicy"], "videos", labels)
    assert policy["ingress"] == []
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert reaches(iter(policy["egress"]), "10.96.0.1", 443)
    assert not reaches(iter(policy["egress"]), "10.96.0.1", 80)


def test_the_api_servers_address_and_who_sees_the_probe_are_configured(render: Any) -> None:
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    settings = {
        "apiServer": {"to": [{"ipBlock": {"cidr": "10.0.0.5/32"}}], "ports": [8443]},
        "ingressFrom": [monitoring],
    }
    documents = render({"networkPolicy": ENABLED | {"operator": settings}, "config": {"probePort": 9000}})
    labels = operator(documents)["metadata"]["labels"]
    (policy,) = concerning([each for each in documents if each["kind"] == "NetworkPolicy"], "videos", labels)
    assert policy["ingress"] == [{"from": [monitoring], "ports": [{"protocol": "TCP", "port": 9000}]}]
    assert reaches(iter(policy["egress"]), "10.0.0.5", 8443)
    assert not reaches(iter(policy["egress"]), "10.0.0.6", 8443)
    assert not reaches(iter(policy["egress"]), "10.0.0.5", 443)
