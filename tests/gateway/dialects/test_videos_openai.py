"""``/v1/videos`` with OpenAI's own package."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from tests.gateway.serving import THUMBNAIL, VIDEO, ServedGateway, served_gateway

from talkingvideo_api.errors import ErrorCode
from talkingvideo_gateway.identity.caller import CallerLimits
from talkingvideo_gateway.settings import GatewayConfig

PICTURE = ("portrait.png", b"bytes of a picture", "image/png")
SPOKEN = {"talkingvideo": {"speech": {"speakers": [{"text": "Hello.", "voice": "en-us"}]}}}


@pytest.fixture
def client(gateway: ServedGateway) -> Iterator[OpenAI]:
    """The package's client with the gateway's address."""
    with openai_client(gateway) as client:
        yield client


def openai_client(gateway: ServedGateway) -> OpenAI:
    warnings.filterwarnings("ignore", "The Sora API", DeprecationWarning)
    return OpenAI(base_url=f"{gateway.url}/v1", api_key="nobody-asks", max_retries=0)


def created(client: OpenAI, **changes: Any) -> Any:
    body = SPOKEN | changes.pop("extra_body", {})
    return client.videos.create(**{"prompt": "smiling", "input_reference": PICTURE, "extra_body": body} | changes)


def test_create_sends_a_form_and_gets_a_video(client: OpenAI, gateway: ServedGateway) -> None:
    video = created(client, model="sora-2", size="720x1280", seconds="8")

    assert video.id.startswith("video_")
    assert (video.object, video.status, video.progress, video.model) == ("video", "queued", 0, "sora-2")
    assert (video.size, video.seconds, video.prompt) == ("720x1280", "0", "smiling")
    (stored,) = gateway.videos()
    spec = gateway.document(stored.name)["spec"]
    assert Path(spec["source"]["image"]["uri"].removeprefix("file://")).read_bytes() == PICTURE[1]
    assert spec["speech"] == {"speakers": [{"text": "Hello.", "voice": "en-us"}]}
    assert spec["video"] == {"width": 720, "height": 1280}


def test_numbers_in_nested_form_fields_are_numbers(client: OpenAI, gateway: ServedGateway) -> None:
    extra = {
        "talkingvideo": SPOKEN["talkingvideo"] | {"render": {"steps": 8, "apg": {"momentum": -0.5}}, "dryRun": True}
    }
    created(client, extra_body=extra)

    spec = gateway.document(gateway.videos()[0].name)["spec"]
    assert spec["render"] == {"steps": 8, "apg": {"momentum": -0.5}}
    assert spec["dryRun"] is True


def test_retrieve_says_how_it_stands(client: OpenAI, gateway: ServedGateway) -> None:
    video = created(client)
    gateway.render(gateway.videos()[0].name)
    found = client.videos.retrieve(video.id)

    assert (found.status, found.progress, found.seconds) == ("in_progress", 40, "14")
    details = found.model_extra["talkingvideo"]  # type: ignore[index]
    assert [chunk["status"] for chunk in details["chunks"]] == ["finished", "finished", "waiting", "waiting"]


def test_create_and_poll_returns_the_finished_video(client: OpenAI, gateway: ServedGateway) -> None:
    def make() -> None:
        while not gateway.videos():
            time.sleep(0.01)
        gateway.succeed(gateway.videos()[0].name)

    maker = threading.Thread(target=make)
    maker.start()
    video = client.videos.create_and_poll(prompt="smiling", input_reference=PICTURE, extra_body=SPOKEN)
    maker.join()

    assert (video.status, video.seconds, video.size) == ("completed", "14", "640x480")
    assert client.videos.download_content(video.id).read() == VIDEO
    assert client.videos.download_content(video.id, variant="thumbnail").read() == THUMBNAIL


def test_the_gateway_says_how_often_to_poll(client: OpenAI) -> None:
    video = created(client)

    assert client.videos.with_raw_response.retrieve(video.id).headers["openai-poll-after-ms"] == "1000"


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_list_reads_page_after_page(client: OpenAI, order: Any) -> None:
    ids = {created(client).id for _ in range(5)}
    listed = [video.id for video in client.videos.list(limit=2, order=order)]

    assert sorted(listed) == sorted(ids)


def test_videos_can_be_deleted_while_they_are_listed(client: OpenAI, gateway: ServedGateway) -> None:
    for _ in range(5):
        created(client)
    for video in client.videos.list(limit=2):
        assert client.videos.delete(video.id).deleted

    assert gateway.videos() == []


def test_remix_changes_the_prompt_and_keeps_the_rest(client: OpenAI, gateway: ServedGateway) -> None:
    first = created(client, extra_body={"seed": 7})
    second = client.videos.remix(first.id, prompt="frowning")

    assert second.remixed_from_video_id == first.id
    one, two = (gateway.document(video.name)["spec"] for video in gateway.videos())
    assert two == one | {"prompt": "frowning"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda gateway, name: gateway.fail(name, ErrorCode.OOM, "Too little memory."), "E_OOM"),
        (lambda gateway, name: gateway.fail(name, ErrorCode.TIMEOUT, "Too late."), "timeout"),
        (lambda gateway, name: gateway.cancelled(name), "cancelled"),
    ],
)
def test_ends_without_a_video_have_a_code(client: OpenAI, gateway: ServedGateway, change: Any, code: str) -> None:
    video = created(client)
    change(gateway, gateway.videos()[0].name)
    found = client.videos.retrieve(video.id)

    assert found.status == "failed"
    assert found.error is not None
    assert found.error.code == code


def test_an_unknown_video_is_a_not_found_error(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.videos.retrieve("video_00000000000000000000000000000000")

    assert caught.value.code == "not_found"
    assert caught.value.type == "not_found_error"


def test_a_wrong_field_is_a_bad_request_error_that_names_it(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        created(client, extra_body={"num_inference_steps": 1_000})

    assert caught.value.param == "talkingvideo.render.steps"
    assert "less than or equal to 100" in str(caught.value)


def test_what_is_not_finished_cannot_be_downloaded(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="queued"):
        client.videos.download_content(created(client).id)


def test_a_full_queue_is_a_rate_limit_error(tmp_path: Path) -> None:
    limits = CallerLimits(queue=1, at_once=0)
    with served_gateway(tmp_path, GatewayConfig(limits=limits)) as gateway, openai_client(gateway) as client:
        created(client)
        with pytest.raises(openai.RateLimitError) as caught:
            created(client)

    assert caught.value.response.headers["retry-after"] == "30"
    assert caught.value.code == "queue_full"
