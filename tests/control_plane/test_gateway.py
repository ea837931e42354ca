"""Two gateways and an operator on a real API server, with a real store: from HTTP to the object and back."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from kubernetes import client
from tests.chart.conftest import helm, render, rights
from tests.cluster.s3 import S3Server
from tests.control_plane.gateway_process import BOB, BUCKET, Gateways, running_gateways
from tests.control_plane.operator_process import Sandbox, wait_until

__all__ = ["helm", "render"]

FILE = base64.b64encode(b"bytes of a file").decode()
JOB = {"image_base64": FILE, "audio_base64": FILE, "width": 480, "height": 480, "push_to_s3": True}
RESULT = b"\x00\x00\x00\x18ftypmp42 what stands for a video"


@pytest.fixture
def gateways(sandbox: Sandbox, render: Any, s3_server: S3Server, tmp_path: Path) -> Iterator[Gateways]:
    with suppress(ClientError):
        s3_server.create_bucket(BUCKET)
    with running_gateways(sandbox, render, s3_server, tmp_path, 2) as running:
        yield running


def submitted(http: httpx.Client) -> str:
    answer = http.post("/jobs", json=JOB)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def status(http: httpx.Client, name: str) -> str:
    answer = http.get(f"/jobs/{name}")
    return str(answer.json()["status"]) if answer.status_code == 200 else str(answer.status_code)


def test_a_video_is_requested_rendered_downloaded_and_deleted_while_gateway_and_operator_restart(
    gateways: Gateways, s3_server: S3Server
) -> None:
    sandbox, (one, other) = gateways.sandbox, gateways.replicas
    with one.client() as http, other.client() as elsewhere, other.client(BOB) as stranger:
        name = submitted(http)
        assert status(elsewhere, name) == "IN_QUEUE", "another replica knows it at once"
        assert status(stranger, name) == "404"
        uri = sandbox.get(name)["spec"]["source"]["image"]["uri"]
        assert uri.startswith(f"s3://{BUCKET}/{sandbox.namespace}/uploads/alice/")
        sandbox.wait_phase("Preparing", name)
        sandbox.finish("prepare")
        wait_until(lambda: status(elsewhere, name) == "RUNNING", "it runs")
        one.kill()
        sandbox.operator.kill()
        assert status(elsewhere, name) == "RUNNING"
        sandbox.operator.start()
        one.start()
        for chunk in range(sandbox.chunks):
            sandbox.finish("render", chunk)
        sandbox.finish("stitch")
        wait_until(lambda: status(elsewhere, name) == "COMPLETED", "it is finished")
    with one.client() as http, other.client(BOB) as stranger:
        wait_until(lambda: status(http, name) == "COMPLETED", "the restarted gateway knows it, too")
        key = sandbox.status(name)["output"]["uri"].removeprefix(f"s3://{BUCKET}/")
        s3_server.client().put_object(Bucket=BUCKET, Key=key, Body=RESULT)
        answer = http.get(f"/jobs/{name}").json()
        assert answer["video_url"].startswith(f"{s3_server.endpoint}/{BUCKET}/{key}?")
        assert httpx.get(answer["video_url"]).content == RESULT
        part = http.get(f"/api/result/{name}", headers={"Range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, RESULT[4:8])
        assert stranger.get(f"/api/result/{name}").status_code == 404
        assert http.post(f"/jobs/{name}/video/delete").status_code == 204
        assert status(http, name) == "404"
        assert httpx.get(answer["video_url"]).status_code == 404


def test_polls_ask_the_api_server_for_nothing(gateways: Gateways) -> None:
    sandbox, (one, other) = gateways.sandbox, gateways.replicas
    with one.client() as http, other.client() as elsewhere, httpx.Client(base_url=one.url) as account:
        name = submitted(http)
        sandbox.wait_phase("Preparing", name)
        wait_until(lambda: status(elsewhere, name) == "RUNNING", "both have seen it")
        status(http, "job-1-never")
        account.headers["Authorization"] = sandbox_token(sandbox, "poller", "get", "list")
        assert account.get(f"/jobs/{name}").status_code == 200
        before = gateways.audited()
        for _ in range(100):
            assert status(http, name) == status(elsewhere, name) == "RUNNING"
            assert http.get("/api/queue").status_code == 200
            assert status(http, "job-1-never") == "404"
        asked = gateways.asked(since=before)
    assert {kind for _, kind, _ in asked} <= {"leases"}, asked


def shows(http: httpx.Client, name: str, wanted: str) -> bool:
    return status(http, name) == wanted


def test_a_cancelled_video_is_cancelled_by_the_operator_and_one_that_was_cancelled_elsewhere_is_shown(
    gateways: Gateways,
) -> None:
    sandbox, (one, other) = gateways.sandbox, gateways.replicas
    with one.client() as http, other.client() as elsewhere:
        here, there = submitted(http), submitted(http)
        for name in (here, there):
            sandbox.wait_phase("Preparing", name)
        cancel(http, here)
        sandbox.patch({"spec": {"cancel": True}}, there)
        for name in (here, there):
            wait_until(partial(shows, elsewhere, name, "CANCELLED"), "the other gateway shows it")
            sandbox.wait_phase("Cancelled", name)
            assert status(http, name) == "CANCELLED"


def test_kubernetes_tokens_may_do_what_kubernetes_allows_and_each_right_of_the_gateway_is_used(
    gateways: Gateways,
) -> None:
    sandbox, (one, _) = gateways.sandbox, gateways.replicas
    reader = sandbox_token(sandbox, "reader", "get", "list")
    owner = sandbox_token(sandbox, "owner", "create", "get", "patch", "delete")
    with httpx.Client(base_url=one.url, timeout=20) as http:
        http.headers["Authorization"] = f"Bearer {owner}"
        name = submitted(http)
        http.headers["Authorization"] = reader
        assert status(http, name) in ("IN_QUEUE", "RUNNING")
        refused = http.post("/jobs", json=JOB)
        assert refused.status_code == 403
        assert f"system:serviceaccount:{sandbox.namespace}:reader may not create" in refused.text
        assert status(http, "job-1-never") == "404"
        http.headers["Authorization"] = f"Bearer {owner[:-8]}AAAAAAAA"
        assert http.get(f"/jobs/{name}").status_code == 401
        http.headers["Authorization"] = f"Bearer {owner}"
        cancel(http, name)
        assert http.post(f"/jobs/{name}/video/delete").status_code == 204
    one.stop()  # ends its watch, which the audit log shows then
    granted = rights(*(each for each in gateways.documents if each["kind"] in ("ClusterRole", "Role")))
    asked = gateways.asked()
    assert not [verb for _, _, verb in asked if verb == "refused"], asked
    assert {(group, resource.partition("/")[0], verb) for group, resource, verb in granted} == set(asked)


def cancel(http: httpx.Client, name: str) -> None:
    answer = http.post(f"/v2/talkingvideo/cancel/{name}")
    assert answer.status_code == 200, answer.text


def sandbox_token(sandbox: Sandbox, account: str, *verbs: str) -> str:
    """A token of a new ServiceAccount with rights on TalkingVideos."""
    metadata = {"name": account}
    rule = {"apiGroups": ["talkingvideo.dev"], "resources": ["talkingvideos"], "verbs": list(verbs)}
    rbac = "rbac.authorization.k8s.io"
    sandbox.cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": sandbox.namespace}],
        },
        namespace=sandbox.namespace,
    )
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=3_600)
    )
    issued = sandbox.cluster.core.create_namespaced_service_account_token(account, sandbox.namespace, request)
    return str(issued.status.token)
