"""``/api/generate-video``: the answer comes when the video is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.serving import VIDEO, ServedGateway, served_gateway

from talkingvideo_api.errors import ErrorCode
from talkingvideo_gateway.dialects import generate_video
from talkingvideo_gateway.settings import GatewayConfig

AUDIO, IMAGE = "/data/shared/audio/voice_cloned.wav", "/data/shared/images/portrait.png"
BODY = {
    "audio_path": AUDIO,
    "image_path": IMAGE,
    "prompt": "A professional speaker presenting",
    "resolution": "infinitetalk-480",
    "seed": 42,
}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    volume = tmp_path / "volume"
    for name in ("audio/voice_cloned.wav", "images/portrait.png", "images/talk.mp4"):
        (volume / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / name).write_bytes(b"a file")
    (volume / "images/outside").symlink_to("/etc/hostname")
    return volume


@pytest.fixture
def gateway(tmp_path: Path, volume: Path) -> Iterator[ServedGateway]:
    with served_gateway(tmp_path / "gateway", GatewayConfig(paths={"/data/shared": volume.as_uri()})) as served:
        yield served


def posted(http: httpx.Client, gateway: ServedGateway, end: Callable[[str], None], **changes: Any) -> httpx.Response:
    """The answer to a request whose video ends as soon as it is there."""
    known = {video.name for video in gateway.videos()}

    def end_the_new_one() -> None:
        while not (new := [video.name for video in gateway.videos() if video.name not in known]):
            pass
        end(new[0])

    thread = threading.Thread(target=end_the_new_one)
    thread.start()
    try:
        return http.post("/api/generate-video", json=BODY | changes)
    finally:
        thread.join()


def test_answer_has_the_service_s_fields(http: httpx.Client, gateway: ServedGateway) -> None:
    answer = posted(http, gateway, gateway.succeed)
    body = answer.json()

    assert answer.status_code == 200
    assert body["video_path"].startswith("/output/infinitetalk_infinitetalk-480_A_professional_speaker_present_")
    assert (body["duration_seconds"], body["resolution"], body["frame_count"]) == (14.0, "640x480", 350)
    assert all(isinstance(value, str) for value in body["metadata"].values())


def test_video_is_served_under_the_path_of_the_answer(http: httpx.Client, gateway: ServedGateway) -> None:
    path = posted(http, gateway, gateway.succeed).json()["video_path"]

    assert http.get(path).content == VIDEO
    assert http.get("/output/another.mp4").status_code == 404


@pytest.mark.parametrize(
    "prompt", ["Привет, мир", "你好", "What? #1 100%", "a\nb\r\nX: c", 'say "hello"', "..\\..", ""]
)
def test_video_is_served_whatever_its_prompt_says(http: httpx.Client, gateway: ServedGateway, prompt: str) -> None:
    path = posted(http, gateway, gateway.succeed, prompt=prompt).json()["video_path"]

    assert http.get(path).content == VIDEO


def test_videos_of_one_second_with_the_same_words_have_files_of_their_own(
    http: httpx.Client, gateway: ServedGateway
) -> None:
    paths = [posted(http, gateway, gateway.succeed).json()["video_path"] for _ in range(5)]

    assert len(set(paths)) == 5


def test_every_parameter_has_its_place(http: httpx.Client, gateway: ServedGateway) -> None:
    changes = {
        "resolution": "infinitetalk-720",
        "diffusion_steps": 12,
        "text_guide_scale": 3.5,
        "audio_guide_scale": 2.5,
        "motion_frame": 13,
        "use_color_correction": False,
        "seed": 7,
    }
    posted(http, gateway, gateway.succeed, **changes)
    spec = gateway.document(gateway.videos()[0].name)["spec"]

    assert spec["video"] == {"resolution": "720p"}
    assert spec["render"] == {
        "preset": "quality",
        "steps": 12,
        "textGuidance": 3.5,
        "audioGuidance": 2.5,
        "shift": 11.0,
        "seed": 7,
        "motionFrames": 13,
        "colorCorrection": 0.0,
    }


def test_files_are_those_of_the_volume(http: httpx.Client, gateway: ServedGateway, volume: Path) -> None:
    posted(http, gateway, gateway.succeed)
    spec = gateway.document(gateway.videos()[0].name)["spec"]

    assert spec["source"] == {"image": {"uri": (volume / "images/portrait.png").as_uri()}}
    assert spec["speech"]["speakers"] == [{"audio": {"uri": (volume / "audio/voice_cloned.wav").as_uri()}}]


def test_a_video_is_dubbed(http: httpx.Client, gateway: ServedGateway) -> None:
    posted(http, gateway, gateway.succeed, image_path="/data/shared/images/talk.mp4")

    assert "video" in gateway.document(gateway.videos()[0].name)["spec"]["source"]


def test_a_motion_frame_of_another_form_is_changed_and_said(http: httpx.Client, gateway: ServedGateway) -> None:
    answer = posted(http, gateway, gateway.succeed, motion_frame=11)

    assert answer.json()["warnings"] == ["motion_frame 11 was changed to 9: it has the form 4n+1, up to 77."]


@pytest.mark.parametrize(
    ("end", "status", "detail"),
    [
        (lambda gateway, name: gateway.fail(name), 500, "Video generation failed: It broke."),
        (lambda gateway, name: gateway.fail(name, ErrorCode.TIMEOUT), 504, "Video generation failed: It broke."),
        (lambda gateway, name: gateway.cancelled(name), 409, "Video generation failed: it was cancelled"),
    ],
)
def test_an_end_without_a_video_has_its_status(
    http: httpx.Client, gateway: ServedGateway, end: Callable[[ServedGateway, str], None], status: int, detail: str
) -> None:
    answer = posted(http, gateway, lambda name: end(gateway, name))

    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


class TestLongAnswers:
    """After a while the answer begins with spaces, so that proxies keep the connection."""

    @pytest.fixture(autouse=True)
    def _hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(generate_video, "SILENT_SECONDS", 0.05)
        monkeypatch.setattr(generate_video, "SPACE_SECONDS", 0.05)

    def test_spaces_come_before_the_document(self, gateway: ServedGateway, http: httpx.Client) -> None:
        with http.stream("POST", "/api/generate-video", json=BODY) as answer:
            assert answer.status_code == 200
            pieces = answer.iter_raw()
            assert [next(pieces), next(pieces)] == [b" ", b" "]
            gateway.succeed(gateway.videos()[0].name)
            rest = b"".join(pieces)

        assert rest.lstrip().startswith(b'{"video_path"')

    def test_a_late_failure_is_in_the_body(self, gateway: ServedGateway, http: httpx.Client) -> None:
        with http.stream("POST", "/api/generate-video", json=BODY) as answer:
            gateway.fail(gateway.videos()[0].name)
            answer.read()

        assert (answer.status_code, answer.json()["detail"]) == (200, "Video generation failed: It broke.")

    def test_the_same_key_finds_the_video_after_a_lost_connection(
        self, gateway: ServedGateway, http: httpx.Client
    ) -> None:
        key = {"Idempotency-Key": "one"}
        with http.stream("POST", "/api/generate-video", json=BODY, headers=key):
            (video,) = gateway.videos()
        gateway.succeed(video.name)

        assert http.post("/api/generate-video", json=BODY, headers=key).json()["frame_count"] == 350
        assert len(gateway.videos()) == 1


@pytest.mark.parametrize(
    ("changes", "status", "detail"),
    [
        ({"audio_path": "/data/shared/audio/no.wav"}, 404, "Audio file not found: /data/shared/audio/no.wav"),
        ({"image_path": "/data/shared/images/no.png"}, 404, "Image file not found: /data/shared/images/no.png"),
        ({"image_path": "/data/shared/images/outside"}, 404, "Image file not found: /data/shared/images/outside"),
        ({"image_path": "/data/shared/images"}, 400, "/data/shared/images is not a file."),
        ({"image_path": "/etc/passwd"}, 404, "Image file not found: /etc/passwd (files can be named in: /data/shared)"),
        ({"image_path": "/data/sharedother/a.png"}, 404, None),
        ({"image_path": "/data/shared/../../etc/passwd"}, 400, None),
        ({"image_path": ""}, 400, None),
        ({"image_path": "portrait.png"}, 400, None),
        ({"resolution": "infinitetalk-1080"}, 422, None),
        ({"diffusion_steps": 0}, 422, None),
        ({"seed": -1}, 422, None),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(
    http: httpx.Client, gateway: ServedGateway, changes: dict[str, Any], status: int, detail: str | None
) -> None:
    answer = http.post("/api/generate-video", json=BODY | changes)

    assert answer.status_code == status, answer.text
    assert detail in (None, answer.json()["detail"])
    assert not gateway.videos()


def test_health_is_answered_while_it_renders(http: httpx.Client) -> None:
    answer = http.get("/api/health").json()

    assert answer.pop("version")
    assert answer == {"status": "healthy", "model_loaded": True, "gpu_available": False}
