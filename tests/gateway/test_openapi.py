"""The OpenAPI document, and what the gateway does with requests that are made from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.gateway.serving import ServedGateway, served_gateway

from talkingvideo_gateway.app import openapi_document
from talkingvideo_gateway.identity.caller import CallerLimits
from talkingvideo_gateway.settings import GatewayConfig

MANY = GatewayConfig(limits=CallerLimits(queue=100_000))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

ENDLESS = "^(/v1/events|/v1/videos/sync)$"
"""They answer when somebody makes a video."""

VIDEO = {
    "input_reference": {"image_url": "https://example.com/a.png"},
    "talkingvideo": {"speech": {"speakers": [{"text": "Hello."}]}},
}


schema = schemathesis.openapi.from_dict(openapi_document()).exclude(path_regex=ENDLESS)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedGateway]:
    with served_gateway(tmp_path_factory.mktemp("gateway"), MANY) as gateway:
        yield gateway


@schema.parametrize()
@settings(
    max_examples=8,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_documented(case: schemathesis.Case[Any], served: ServedGateway) -> None:
    if case.operation.path.endswith(":plan"):
        case.query["wait"] = 0
    if "video_id" in case.path_parameters and not case.operation.path.endswith("/events"):
        case.path_parameters["video_id"] = some_video(served)
    case.call_and_validate(base_url=served.url, checks=CHECKS)


def some_video(gateway: ServedGateway) -> str:
    if not gateway.videos():
        with gateway.client() as http:
            http.post("/v1/videos", json=VIDEO).raise_for_status()
    return gateway.videos()[0].name


def test_every_operation_is_described() -> None:
    operations = [operation for path in openapi_document()["paths"].values() for operation in path.values()]

    assert [operation["operationId"] for operation in operations if not operation.get("description")] == []
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_refusals_have_the_form_of_their_dialect() -> None:
    paths = openapi_document()["paths"]

    assert list(paths["/v1/videos"]["post"]["responses"]["4XX"]["content"]) == ["application/problem+json"]
    example = paths["/jobs"]["post"]["responses"]["4XX"]["content"]["application/json"]["example"]
    assert example == {"error": "job not found", "code": "JOB_NOT_FOUND"}
