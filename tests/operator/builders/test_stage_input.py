"""The stage input and its locations."""

from typing import Any

import pytest
from tests.operator.builders.manifests import context

from talkingvideo_api.stage_input import StageInput
from talkingvideo_operator.builders.stage_input import build_config_map, build_stage_input


@pytest.mark.parametrize(
    ("output", "profile", "result"),
    [
        ({}, {}, "s3://media/ns/hello-{revision}"),
        ({"name": "{namespace}/{date}/{name}"}, {}, "s3://media/ns/2026-01-01/hello"),
        ({"s3": {"prefix": "films"}}, {"allow": {"outputPrefixes": ["films"]}}, "s3://media/films/ns/hello-{revision}"),
        ({"s3": {"bucket": "out-b"}}, {"allow": {"outputBuckets": ["*"]}}, "s3://out-b/ns/hello-{revision}"),
        ({"pvc": {"claim": "c", "path": "a/"}}, {"allow": {"claims": ["c"]}}, "pvc://c/a/ns/hello-{revision}"),
    ],
)
def test_locations_of_the_result(output: Any, profile: Any, result: Any) -> None:
    ctx = context(profile, output=output)
    stage_input = build_stage_input(ctx.video, ctx.spec, ctx.effective, ctx.profile)
    assert stage_input.locations.result == result.format(revision=ctx.video.revision)
    assert stage_input.locations.workspace == f"s3://media/.work/ns/hello-11111111/{ctx.video.revision}"
    assert stage_input.locations.chunks == "s3://media/.work/ns/chunks"


def test_the_stage_input_can_be_read_back_from_its_immutable_config_map() -> None:
    ctx = context()
    stage_input = build_stage_input(ctx.video, ctx.spec, ctx.effective, ctx.profile)
    made = build_config_map(ctx.video, stage_input)
    assert made["immutable"] is True
    assert StageInput.model_validate_json(made["data"]["stage-input.json"]) == stage_input
