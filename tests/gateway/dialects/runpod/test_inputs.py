"""What workers' inputs become in the resource: the printed bodies, and each field."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image
from tests.gateway.dialects.runpod.bodies import BATCH, CONDITIONS, SITE, URLS, Printed

from talkingvideo_api import names
from talkingvideo_api.resource import parse
from talkingvideo_gateway.dialects.runpod.body import RunBody
from talkingvideo_gateway.dialects.runpod.requests import Recipient, to_requests
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.http.volumes import Volumes
from talkingvideo_gateway.settings import ResultForm, RunPodEndpoint
from talkingvideo_gateway.videos.request import VideoRequest

VOLUMES = Volumes({"/runpod-volume": "pvc://media/shared"})
SOUND = base64.b64encode(b"RIFF and a sound").decode()


def translated(body: dict[str, Any], settings: RunPodEndpoint | None = None) -> list[VideoRequest]:
    requests = to_requests(RunBody(**body), Recipient("a-u1", "endpoint", settings or RunPodEndpoint(), VOLUMES))
    for request in requests:
        assert_valid(request)
    return requests


def assert_valid(request: VideoRequest) -> None:
    """The resource takes the spec; what was uploaded has an address by then."""
    text = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "v"}, "spec": request.spec}
    parse(_fetched(text))


def _fetched(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _fetched(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_fetched(item) for item in value]
    return "data:," if isinstance(value, str) and value.startswith("upload://") else value


def one(given: dict[str, Any], settings: RunPodEndpoint | None = None, **body: Any) -> VideoRequest:
    (request,) = translated({"input": given, **body}, settings)
    return request


def urls(**changes: Any) -> VideoRequest:
    return one({"image_url": f"{SITE}/a.jpg", "wav_url": f"{SITE}/a.wav", **changes})


def hub(**changes: Any) -> VideoRequest:
    return one({"image_url": f"{SITE}/a.jpg", "wav_url": f"{SITE}/a.wav", "width": 512, "height": 512, **changes})


def conditions(**changes: Any) -> VideoRequest:
    given = {"prompt": "talk", "cond_video": f"{SITE}/a.jpg", "cond_audio": {"person1": f"{SITE}/a.wav"}}
    return one({**given, **changes})


def picture(width: int, height: int, form: str = "PNG", orientation: int = 1) -> str:
    content = io.BytesIO()
    image = Image.new("RGB", (width, height))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(content, form, exif=exif)
    return base64.b64encode(content.getvalue()).decode()


@pytest.mark.parametrize("printed", [*URLS, *CONDITIONS], ids=lambda printed: printed.title)
def test_a_printed_body_is_obeyed(printed: Printed) -> None:
    (request,) = translated(printed.body)

    assert {key: request.spec[key] for key in printed.spec} == printed.spec
    assert len(request.warnings) == len(printed.warnings)
    for warning in printed.warnings:
        assert any(warning in each for each in request.warnings)


def test_the_printed_batch_is_two_videos() -> None:
    first, second = translated(BATCH.body)

    assert {key: first.spec[key] for key in BATCH.spec} == BATCH.spec
    assert (first.batch, second.batch) == ("a-u1", "a-u1")
    assert (first.name, second.name) == ("a-u1-0", "a-u1-1")
    assert [request.options["item"] for request in (first, second)] == ["item-1", "item-2"]
    assert [request.spec["render"]["steps"] for request in (first, second)] == [8, 12]


class TestByAddress:
    """``image_url``, ``wav_url``, ``aspect_ratio`` …"""

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"input_type": "gif"}, "Invalid input_type 'gif'. Must be 'image' or 'video'."),
            ({"person_count": "three"}, "Invalid person_count 'three'. Must be 'single' or 'multi'."),
            (
                {"image_url": "portrait.jpg"},
                "Input 'image_url' must be a URL. Local paths and base64 are not supported.",
            ),
            ({"input_type": "video"}, "For input_type='video', you must provide 'video_url'."),
            ({"image_url": None}, "input.image_url: It is missing."),
            ({"wav_url": ""}, "input.wav_url: It is missing."),
            ({"person_count": "multi"}, "input.wav_url_2: It is missing."),
            ({"max_frame": 0}, "input.max_frame: It must be a whole number from 1 to 180,000."),
        ],
    )
    def test_a_wrong_field_is_named(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidRequestError) as refused:
            urls(**changes)
        assert str(refused.value) == message

    def test_an_unknown_shape_is_the_worker_s_default_and_said(self) -> None:
        request = urls(aspect_ratio="1:1", resolution="1080p")

        assert request.spec["video"] == {"resolution": "480p", "width": 480, "height": 854}
        assert request.warnings == (
            "input.aspect_ratio '1:1' was changed to '9:16': it is one of 16:9, 9:16.",
            "input.resolution '1080p' was changed to '480p': it is one of 480p, 720p.",
        )

    def test_the_endpoint_decides_between_an_address_and_base64(self) -> None:
        given = {"image_url": f"{SITE}/a.jpg", "wav_url": f"{SITE}/a.wav"}

        assert one(given).options["delivery"] == "link"
        assert one(given, RunPodEndpoint(results=ResultForm.INLINE)).options["delivery"] == "inline"

    def test_max_frame_limits_the_frames(self) -> None:
        assert urls(max_frame=250).spec["video"]["maxFrames"] == 250


class TestHub:
    """``image_base64``, ``width``, ``network_volume`` …"""

    def test_files_may_be_base64_addresses_and_paths(self) -> None:
        request = one(
            {"image_base64": picture(8, 8), "wav_path": "/runpod-volume/in/a b.wav", "prompt": "talk", "width": 640}
        )

        assert request.spec["video"] == {"width": 640, "height": 512}
        assert request.uploads.keys() == {"input.image_base64"}
        assert request.files == {"input.wav_path": "pvc://media/shared/in/a%20b.wav"}

    def test_odd_sizes_are_changed_and_said(self) -> None:
        request = hub(width=333, height=4_096)

        assert request.spec["video"] == {"width": 332, "height": 2_048}
        assert "333x4096 was changed to 332x2048" in request.warnings[0]

    def test_a_second_voice_is_the_first_where_it_is_missing(self) -> None:
        speakers = hub(person_count="multi").spec["speech"]["speakers"]

        assert speakers == [{"audio": {"uri": f"{SITE}/a.wav"}}] * 2

    def test_the_network_volume_gets_the_result(self) -> None:
        request = hub(network_volume=True)

        assert request.spec["output"] == {"pvc": {"claim": "media", "path": "shared"}}
        assert request.options["delivery"] == "volume"

    def test_without_a_volume_the_answer_has_an_address(self) -> None:
        body = RunBody(input={"image_url": f"{SITE}/a.jpg", "wav_url": f"{SITE}/a.wav", "network_volume": True})
        (request,) = to_requests(body, Recipient("a-u1", "endpoint", RunPodEndpoint(), Volumes({})))

        assert request.options["delivery"] == "link"
        assert "no volume is configured for /runpod-volume" in request.warnings[0]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"image_url": None}, "input.image_url: One of image_url, image_base64, image_path is needed."),
            ({"wav_url": None}, "input.wav_url: One of wav_url, wav_base64, wav_path is needed."),
            ({"image_url": None, "image_base64": "%%%"}, "input.image_base64: It is not base64."),
            ({"width": "wide"}, "input.width: It must be a whole number from 1 to 16,384."),
        ],
    )
    def test_a_wrong_field_is_named(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidRequestError) as refused:
            hub(**changes)
        assert str(refused.value) == message

    @pytest.mark.parametrize("path", ["/etc/passwd.txt", "/runpod-volume/../x.wav", "/examples/audio.mp3", "a.wav"])
    def test_a_path_outside_of_the_volumes_is_no_file(self, path: str) -> None:
        with pytest.raises(InvalidRequestError):
            hub(wav_url=None, wav_path=path)

    def test_what_is_ignored_is_said(self) -> None:
        request = hub(
            force_offload=False, video_url=f"{SITE}/a.mp4", wav_url_2=f"{SITE}/b.wav", wav_path="/x.wav", fps=16
        )

        assert request.warnings == (
            "input.wav_path is ignored: wav_url is given, too.",
            "input.wav_url_2 is ignored: person_count is single.",
            "input.video_url is ignored: input_type is image.",
            "input.force_offload is ignored: memory is used according to the GPU.",
            "input: not known here, and ignored: fps.",
        )


class TestConditions:
    """``cond_video``, ``cond_audio``, ``tts_audio`` …"""

    @pytest.mark.parametrize(
        ("changes", "field", "value"),
        [
            ({"color_correction_strength": 0.5}, "colorCorrection", 0.5),
            ({"base_seed": -1}, "seed", -1),
            ({"quant": "fp8", "quant_dir": "/q"}, "memory", {"quantization": "FP8"}),
            ({"quant": "int8"}, "memory", {"quantization": "Int8"}),
            ({"num_persistent_param_in_dit": 7_000}, "memory", {"residentParameters": 7_000}),
            ({"use_teacache": True}, "teaCache", {}),
            ({"use_apg": "true"}, "apg", {}),
            ({"sample_steps": "40"}, "steps", 40),
            ({"mode": "streaming"}, "mode", "Streaming"),
            ({"frame_num": 84}, "windowFrames", 81),
            ({"frame_num": 5}, "motionFrames", 1),
            ({"frame_num": 9, "motion_frame": 9}, "motionFrames", 5),
            ({"motion_frame": 0}, "motionFrames", 1),
        ],
    )
    def test_a_parameter_has_its_place(self, changes: dict[str, Any], field: str, value: Any) -> None:
        assert conditions(**changes).spec["render"][field] == value

    def test_teacache_and_apg_are_off_unless_they_are_asked_for(self) -> None:
        request = conditions(use_teacache=False, teacache_thresh=0.2, use_apg=False, apg_momentum=-0.75)

        assert "render" not in request.spec

    def test_the_whole_sound_is_rendered_unless_a_clip_is_asked_for(self) -> None:
        assert "render" not in conditions().spec

    def test_a_large_seed_is_changed_and_said(self) -> None:
        request = conditions(base_seed=2**32)

        assert request.spec["render"]["seed"] == 0
        assert "4294967296 was changed to 0" in request.warnings[0]

    def test_a_negative_prompt(self) -> None:
        assert conditions(n_prompt="blurry").spec["negativePrompt"] == "blurry"

    @pytest.mark.parametrize(("word", "meaning"), [("para", "Parallel"), ("add", "Sequential")])
    def test_two_recordings_are_arranged(self, word: str, meaning: str) -> None:
        both = {"person1": f"{SITE}/1.wav", "person2": f"{SITE}/2.wav"}

        assert conditions(cond_audio=both, audio_type=word).spec["speech"]["arrangement"] == meaning

    def test_a_text_of_two_people_is_divided(self) -> None:
        text = {"text": "(s1) Hello. (s2) Good evening.", "human1_voice": "af_heart", "human2_voice": "am_adam"}
        request = conditions(cond_audio=None, tts_audio=text)

        assert request.spec["speech"]["speakers"] == [
            {"text": "Hello.", "voice": "af_heart"},
            {"text": "Good evening.", "voice": "am_adam"},
        ]
        assert request.warnings == ()

    def test_turns_that_cannot_be_kept_in_order_are_said(self) -> None:
        request = conditions(cond_audio=None, tts_audio={"text": "(s1) One. (s2) Two. (s1) Three."})

        assert [speaker["text"] for speaker in request.spec["speech"]["speakers"]] == ["One. Three.", "Two."]
        assert "all of the first person's are spoken before the second's" in request.warnings[0]

    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
    def test_a_box_in_pixels_is_a_region_of_an_uploaded_picture(self, form: str) -> None:
        request = conditions(cond_video=picture(400, 200, form), bbox=[100, 50, 300, 500])

        assert request.spec["speech"]["speakers"][0]["region"] == {
            "left": 0.25,
            "top": 0.25,
            "width": 0.5,
            "height": 0.75,
        }

    def test_a_box_is_on_the_upright_picture(self) -> None:
        request = conditions(cond_video=picture(400, 200, "JPEG", orientation=6), bbox=[0, 0, 100, 200])

        region = request.spec["speech"]["speakers"][0]["region"]
        assert (region["width"], region["height"]) == (0.5, 0.5)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"bbox": [0, 0, 10, 10]}, "nothing is fetched here to learn how large the picture is"),
            ({"bbox": [0, 0, 10]}, "four numbers"),
            ({"bbox": [0, 0, 10, "x"]}, "four numbers"),
            ({"bbox": [500, 0, 600, 10], "cond_video": picture(400, 200)}, "outside of the picture"),
        ],
    )
    def test_a_box_that_cannot_be_used_is_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidRequestError, match=message):
            conditions(**changes)

    @pytest.mark.parametrize(
        ("source", "kind"),
        [
            (f"{SITE}/a.webp?mp4", "image"),
            (f"{SITE}/a.MP4?signed=1", "video"),
            (f"{SITE}/a", "image"),
            ("/runpod-volume/a.mov", "video"),
            (picture(8, 8), "image"),
            (f"data:image/png;base64,{picture(8, 8)}", "image"),
            (base64.b64encode(b"\0\0\0\x18ftypmp42").decode(), "video"),
        ],
    )
    def test_a_source_is_a_picture_or_a_video(self, source: str, kind: str) -> None:
        assert conditions(cond_video=source).spec["source"].keys() == {kind}

    @pytest.mark.parametrize(
        ("store", "delivery"), [("s3", "link"), ("inline", "inline"), ("volume", "volume"), (None, "link")]
    )
    def test_a_result_is_delivered_as_asked_for(self, store: str | None, delivery: str) -> None:
        assert conditions(output_config={"store": store}).options["delivery"] == delivery

    def test_a_folder_on_the_volume(self) -> None:
        request = conditions(output_config={"store": "volume", "prefix": "jobs/"})

        assert request.spec["output"] == {"pvc": {"claim": "media", "path": "shared/jobs"}}

    def test_bucket_and_region_are_the_administrator_s(self) -> None:
        request = conditions(output_config={"bucket": "mine", "region": "eu-west-1"})

        assert [warning.split(":")[0] for warning in request.warnings] == [
            "input.output_config.bucket is ignored",
            "input.output_config.region is ignored",
        ]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"cond_video": None}, "input.cond_video: It is missing."),
            ({"cond_audio": None}, "input.cond_audio: cond_audio with person1, or tts_audio with text, is needed."),
            ({"cond_audio": {"person3": "x"}}, "input.cond_audio: cond_audio with person1, or tts_audio"),
            ({"cond_audio": "https://example.com/a.wav"}, "input.cond_audio: It must be an object."),
            ({"cond_audio": None, "tts_audio": {"text": ""}}, "input.tts_audio.text: It is missing."),
            ({"size": "infinitetalk-1080"}, "input.size: It must be one of infinitetalk-480, infinitetalk-720."),
            ({"mode": "long"}, "input.mode: It must be one of clip, streaming."),
            ({"quant": "int4"}, "input.quant: It must be one of int8, fp8."),
            ({"sample_steps": 0}, "input.sample_steps: It must be a whole number from 1 to 100."),
            ({"sample_text_guide_scale": 21}, "input.sample_text_guide_scale: It must be a number from 0 to 20."),
            ({"sample_text_guide_scale": float("nan")}, "input.sample_text_guide_scale: It must be a number"),
            ({"use_apg": "perhaps"}, "input.use_apg: It must be true or false."),
            ({"output_config": {"prefix": "../up"}}, "input.output_config.prefix: Its folders"),
            ({"output_config": {"prefix": "{revision}"}}, "input.output_config.prefix: Its folders"),
            ({"output_config": {"video_url": f"{SITE}/put?signature=1"}}, "input.output_config.video_url: Nothing is"),
            ({"prompt": 7}, "input.prompt: It must be a text."),
        ],
    )
    def test_a_wrong_field_is_named(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidRequestError) as refused:
            conditions(**changes)
        assert str(refused.value).startswith(message)

    @pytest.mark.parametrize("batch", [[], {}, "a", [1], None])
    def test_a_batch_has_items(self, batch: Any) -> None:
        with pytest.raises(InvalidRequestError, match=r"input\.batch"):
            translated({"input": {"batch": batch}})

    def test_a_wrong_item_is_named(self) -> None:
        items = [*BATCH.body["input"]["batch"], {"id": "item-3"}]

        with pytest.raises(InvalidRequestError) as refused:
            translated({"input": {"batch": items}})
        assert str(refused.value) == "input.batch[2].cond_video: It is missing."


class TestPolicy:
    @pytest.mark.parametrize(
        ("policy", "deadline", "ttl", "warnings"),
        [
            ({"executionTimeout": 600_000}, 600, None, 0),
            ({"executionTimeout": 5_000, "ttl": 10_000}, 5, 10, 0),
            ({"executionTimeout": 1_800, "ttl": 86_400}, 1_800, 86_400, 1),
            ({"ttl": 86_400_000}, None, 86_400, 0),
            ({"ttl": 9_000}, None, 9_000, 1),
            ({"executionTimeout": 1e12}, 2_592_000, None, 0),
            ({"lowPriority": True}, None, None, 1),
            ({"lowPriority": False}, None, None, 0),
        ],
    )
    def test_times_are_milliseconds_unless_they_are_too_small(
        self, policy: dict[str, Any], deadline: int | None, ttl: int | None, warnings: int
    ) -> None:
        given = {"image_url": f"{SITE}/a.jpg", "wav_url": f"{SITE}/a.wav"}
        request = one(given, policy=policy)

        assert request.spec.get("activeDeadlineSeconds") == deadline
        assert request.spec.get("ttlSecondsAfterFinished") == ttl
        assert len(request.warnings) == warnings


class TestRest:
    def test_nothing_is_called_back(self) -> None:
        given = {"image_url": f"{SITE}/a.jpg", "wav_url": f"{SITE}/a.wav"}
        request = one(given, webhook=f"{SITE}/hook", webhookV2=f"{SITE}/hook")

        assert [warning.split(":")[0] for warning in request.warnings] == ["webhook is ignored", "webhookV2 is ignored"]

    def test_what_is_not_known_is_named(self) -> None:
        given = {"image_url": f"{SITE}/a.jpg", "wav_url": f"{SITE}/a.wav", "seconds": 8}

        assert one(given, gpu="H100").warnings == (
            "Not known here, and ignored: gpu.",
            "input: not known here, and ignored: seconds.",
        )

    def test_credentials_are_refused(self) -> None:
        with pytest.raises(InvalidRequestError, match="Credentials in a request are not accepted"):
            one({"image_url": f"{SITE}/a.jpg", "wav_url": f"{SITE}/a.wav"}, s3Config={"accessId": "a"})

    def test_an_endpoint_has_a_profile(self) -> None:
        given = {"image_url": f"{SITE}/a.jpg", "wav_url": f"{SITE}/a.wav"}

        assert one(given, RunPodEndpoint(profile="fast")).profile == "fast"

    def test_warnings_are_bounded(self) -> None:
        request = urls(**{f"unknown{number}" * 30: 1 for number in range(1_000)})

        assert len(request.warnings) == 1
        assert len(request.warnings[0].encode()) <= 320
