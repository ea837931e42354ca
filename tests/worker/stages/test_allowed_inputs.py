"""What fetch refuses although the operator should have refused it before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.worker.stages.conftest import StageInputFactory

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.fetch import fetch

IMAGE = "spec.source.image.uri"


def refusal(folder: Path, new_stage_input: StageInputFactory, image: dict[str, Any], **stage_input: Any) -> StageError:
    """The error of a fetch whose image has to be refused before anything is asked for it."""
    made = new_stage_input(source={"image": image}).model_copy(update=stage_input)
    mounts = Mounts(folder / "claims", folder / "configmaps", folder / "headers")
    with pytest.raises(StageError) as caught:
        fetch(StageContext(made, mounts, folder / "scratch", LogReporter()))
    assert caught.value.code is ErrorCode.INPUT_VALIDATION
    return caught.value


FOREIGN = [
    "s3://elsewhere/ns/a.png",
    "s3://media/a.png",
    "s3://media/other/a.png",
    "s3://media/nsx/a.png",
    "s3://media/ns",
    "s3://mediax/ns/a.png",
    "S3://media/other/a.png",
    "s3://media/%6es/a.png",
    "s3://media/other/a.png?x=/ns/a",
    "s3://media/other/a.png#/ns/a",
]


@pytest.mark.parametrize("uri", FOREIGN)
def test_an_object_outside_the_allowed_places_is_refused(
    tmp_path: Path, new_stage_input: StageInputFactory, uri: str
) -> None:
    error = refusal(tmp_path, new_stage_input, {"uri": uri}, input_buckets=("media/ns/", "other/inputs"))
    assert error.field == IMAGE
    assert "the administrator can list" in error.message


HIDDEN = [
    "s3://media/.work/ns/chunks/x/segment-0.mp4",
    "s3://media/ns/.work/x",
    "s3://media/ns/./a.png",
    "s3://media/ns//a.png",
    "s3://media//.work/x",
    "s3://media/ns/a.png/",
    "s3://media/ns/\uff0ework/x",
    "s3://media/ns/\\..\\.work",
    "s3://media/ns/a\u200b.png",
]


@pytest.mark.parametrize("uri", HIDDEN)
@pytest.mark.parametrize("places", [("*",), ("media",), ("media/ns/",)])
def test_work_in_progress_is_no_input_whatever_is_allowed(
    tmp_path: Path, new_stage_input: StageInputFactory, uri: str, places: tuple[str, ...]
) -> None:
    error = refusal(tmp_path, new_stage_input, {"uri": uri}, input_buckets=places)
    assert (error.field, error.message.startswith("The key ")) == (IMAGE, True)


@pytest.mark.parametrize("hosts", [{}, {"other": ("example.com",)}, {"auth": ()}, {"auth": ("*.example.com",)}])
def test_a_secret_goes_to_no_host_that_the_stage_input_does_not_bind_it_to(
    tmp_path: Path, new_stage_input: StageInputFactory, hosts: dict[str, tuple[str, ...]]
) -> None:
    (tmp_path / "headers" / "auth").mkdir(parents=True)
    (tmp_path / "headers" / "auth" / "Authorization").write_text("Bearer canary")
    image = {"uri": "https://example.com/a.png", "headersSecretName": "auth"}
    error = refusal(tmp_path, new_stage_input, image, secret_hosts=hosts)
    assert "may not be sent to example.com" in error.message
    assert "canary" not in str(error)
