"""``/v1/videos``: what goes beyond OpenAI's API."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.serving import VIDEO, ServedGateway, served_gateway

from talkingvideo_api.errors import ErrorCode
from talkingvideo_gateway.identity.caller import Caller

PICTURE, SOUND = b"bytes of a picture", b"bytes of a recording"
FILES = {"input_reference": ("a.png", PICTURE, "image/png"), "audio": ("a.wav", SOUND, "audio/wav")}
URLS = {
    "input_reference": {"image_url": "https://example.com/a.png"},
    "audio_reference": {"audio_url": "https://example.com/a.wav"},
}


def created(http: httpx.Client, **fields: Any) -> Any:
    answer = http.post("/v1/videos", json=URLS | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def spec_of(gateway: ServedGateway, video: Any) -> Any:
    return gateway.document(video["talkingvideo"]["name"])["spec"]


def content_of(uri: str) -> bytes:
    return Path(uri.removeprefix("file://")).read_bytes()


class TestCreate:
    def test_a_form_s_files_are_the_picture_and_the_recordings(
        self, http: httpx.Client, gateway: ServedGateway
    ) -> None:
        regions = [{"region": {"left": left, "top": 0, "width": 0.5, "height": 1}} for left in (0, 0.5)]
        files = FILES | {"audio_2": ("b.wav", b"bytes of another", "audio/wav")}
        data = {"talkingvideo": json.dumps({"speech": {"speakers": regions}})}
        spec = spec_of(gateway, http.post("/v1/videos", data=data, files=files).json())

        assert content_of(spec["source"]["image"]["uri"]) == PICTURE
        speakers = spec["speech"]["speakers"]
        assert [content_of(each["audio"]["uri"]) for each in speakers] == [SOUND, b"bytes of another"]
        assert [each["region"]["left"] for each in speakers] == [0, 0.5]

    def test_a_video_is_dubbed(self, http: httpx.Client, gateway: ServedGateway) -> None:
        files = FILES | {"input_reference": ("a.mp4", PICTURE, "video/mp4")}
        spec = spec_of(gateway, http.post("/v1/videos", files=files).json())

        assert list(spec["source"]) == ["video"]

    def test_other_files_are_named_by_the_spec(self, http: httpx.Client, gateway: ServedGateway) -> None:
        fields = {"talkingvideo[speech][speakers][0][mask][upload]": "mask"}
        answer = http.post("/v1/videos", data=fields, files=FILES | {"mask": ("m.png", b"a mask", "image/png")})
        spec = spec_of(gateway, answer.json())

        assert content_of(spec["speech"]["speakers"][0]["mask"]["uri"]) == b"a mask"

    def test_a_file_without_a_place_is_refused(self, http: httpx.Client) -> None:
        answer = http.post("/v1/videos", files=FILES | {"mask": ("m.png", b"a mask", "image/png")})

        assert (answer.status_code, answer.json()["field"]) == (400, "mask")

    @pytest.mark.parametrize("as_text", [False, True])
    def test_vllm_omni_s_references_are_objects_or_json_texts(
        self, http: httpx.Client, gateway: ServedGateway, as_text: bool
    ) -> None:
        address = f"data:audio/wav;base64,{base64.b64encode(SOUND).decode()}"
        body: dict[str, Any] = {
            "prompt": "A person singing",
            "image_reference": {"image_url": "https://example.com/face.png"},
            "audio_reference": {"audio_url": address},
        }
        if as_text:
            fields = {key: value if isinstance(value, str) else json.dumps(value) for key, value in body.items()}
            answer = http.post("/v1/videos", files={key: (None, value) for key, value in fields.items()})
        else:
            answer = http.post("/v1/videos", json=body)
        spec = spec_of(gateway, answer.json())

        assert spec["source"] == {"image": {"uri": "https://example.com/face.png"}}
        assert content_of(spec["speech"]["speakers"][0]["audio"]["uri"]) == SOUND

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"num_inference_steps": 40}, {"render": {"steps": 40}}),
            ({"guidance_scale": 4.5, "flow_shift": 7}, {"render": {"textGuidance": 4.5, "shift": 7}}),
            ({"seed": 0}, {"render": {"seed": 0}}),
            ({"negative_prompt": "blurry"}, {"negativePrompt": "blurry"}),
            ({"width": 832, "height": 480}, {"video": {"width": 832, "height": 480}}),
            ({"size": "1024x1792"}, {"video": {"width": 1024, "height": 1792}}),
            ({"size": "333x4000"}, {"video": {"width": 332, "height": 2048}}),
            ({"num_frames": 80, "fps": 16}, {"video": {"maxFrames": 125}}),
            ({"lora": {"name": "smile", "scale": 0.5}}, {"render": {"loras": [{"name": "smile", "scale": 0.5}]}}),
            ({"extra_params": {"audio_guidance_scale": 3}}, {"render": {"audioGuidance": 3}}),
            ({"model": "preview"}, {"engine": "preview"}),
            ({"prompt": "a", "talkingvideo": {"prompt": "b"}}, {"prompt": "b"}),
            ({"talkingvideo": {"chunking": {"maxParallel": 2}}}, {"chunking": {"maxParallel": 2}}),
        ],
    )
    def test_fields_have_their_places(
        self, http: httpx.Client, gateway: ServedGateway, fields: dict[str, Any], expected: dict[str, Any]
    ) -> None:
        spec = spec_of(gateway, created(http, **fields))

        assert {key: spec[key] for key in spec.keys() - {"source", "speech"}} == expected

    @pytest.mark.parametrize(
        ("fields", "warning"),
        [
            ({"seconds": "8"}, "seconds is ignored"),
            ({"fps": 16}, "fps 16 is ignored"),
            ({"size": "333x4000"}, "333x4000 was changed to 332x2048"),
            ({"model": "sora-2"}, "model sora-2 is only repeated"),
            ({"extra_params": {"boost": 1}}, "extra_params.boost is ignored"),
            ({"colour": "red"}, "colour is ignored"),
        ],
    )
    def test_what_is_changed_or_ignored_is_said(self, http: httpx.Client, fields: dict[str, Any], warning: str) -> None:
        (said,) = created(http, **fields)["talkingvideo"]["warnings"]

        assert said.startswith(warning)

    def test_many_unknown_fields_are_no_failure(self, http: httpx.Client) -> None:
        assert len(created(http, **{f"field{index}": 1 for index in range(100)})["talkingvideo"]["warnings"]) == 32

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"prompt": "a"}, "input_reference"),
            ({"input_reference": URLS["input_reference"]}, "audio"),
            (URLS | {"image_reference": {"image_url": "https://example.com/b.png"}}, "image_reference"),
            (URLS | {"audio_reference": {"audio": "x"}}, "audio_reference"),
            (URLS | {"width": 640}, "height"),
            (URLS | {"lora": {"path": "/root/lora"}}, "lora"),
            (URLS | {"input_reference": {"file_id": "file_" + "0" * 64}}, "talkingvideo.source.image.uri"),
            (URLS | {"input_reference": {"image_url": "file:///etc/passwd"}}, "talkingvideo.source.image.uri"),
            (URLS | {"talkingvideo": {"sourcee": 1}}, "talkingvideo.sourcee"),
        ],
    )
    def test_what_is_wrong_is_named(self, http: httpx.Client, body: dict[str, Any], field: str) -> None:
        answer = http.post("/v1/videos", json=body)

        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        assert answer.json()["field"] == answer.json()["error"]["param"] == field

    def test_all_faults_are_told_at_once(self, http: httpx.Client) -> None:
        spec = {"render": {"steps": 0, "seed": "x"}, "video": {"width": 65, "height": 64}}
        answer = http.post("/v1/videos", json=URLS | {"talkingvideo": spec}).json()

        assert [fault["field"] for fault in answer["errors"]] == [
            "talkingvideo.video.width",
            "talkingvideo.render.steps",
            "talkingvideo.render.seed",
        ]


class TestIdempotency:
    def test_concurrent_posts_of_one_key_make_one_video(self, http: httpx.Client, gateway: ServedGateway) -> None:
        def post(_: int) -> str:
            answer = httpx.post(f"{gateway.url}/v1/videos", files=FILES, headers={"Idempotency-Key": "a-key"})
            return str(answer.json()["id"])

        with ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(post, range(8)))

        assert len(ids) == len(gateway.videos()) == 1

    def test_a_key_with_another_request_is_unprocessable(self, http: httpx.Client) -> None:
        headers = {"Idempotency-Key": "a-key"}
        http.post("/v1/videos", json=URLS, headers=headers)
        answer = http.post("/v1/videos", json=URLS | {"prompt": "another"}, headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


class TestList:
    def test_videos_of_other_dialects_and_of_kubectl_are_there(
        self, http: httpx.Client, gateway: ServedGateway
    ) -> None:
        tiny = base64.b64encode(b"bytes").decode()
        job = http.post("/jobs", json={"image_base64": tiny, "audio_base64": tiny, "width": 64, "height": 64}).json()
        listed = http.get("/v1/videos").json()

        assert [video["id"] for video in listed["data"]] == [job["id"]]
        assert http.get(f"/v1/videos/{job['id']}").json()["talkingvideo"]["name"] == job["id"]

    def test_pages_do_not_move_when_videos_come_and_go(self, http: httpx.Client, gateway: ServedGateway) -> None:
        before = [created(http)["id"] for _ in range(4)]
        first = http.get("/v1/videos", params={"limit": 2, "order": "asc"}).json()
        http.delete(f"/v1/videos/{first['data'][1]['id']}")
        created(http)
        after = {"limit": 100, "order": "asc", "after": first["last_id"]}
        rest = http.get("/v1/videos", params=after).json()

        seen = [video["id"] for page in (first, rest) for video in page["data"]]
        assert set(before) <= set(seen)
        assert len(seen) == len(set(seen))
        assert (first["has_more"], rest["has_more"]) == (True, False)

    def test_an_id_is_a_cursor_while_its_video_is_there(self, http: httpx.Client) -> None:
        for _ in range(3):
            created(http)
        first = http.get("/v1/videos", params={"limit": 1}).json()
        rest = http.get("/v1/videos", params={"after": first["data"][0]["id"]}).json()

        assert len(rest["data"]) == 2
        assert http.get("/v1/videos", params={"after": "nothing"}).status_code == 400


class TestOneVideo:
    def test_a_retry_queues_a_failed_video(self, http: httpx.Client, gateway: ServedGateway) -> None:
        video = created(http)
        gateway.fail(video["talkingvideo"]["name"], ErrorCode.OOM)

        assert http.post(f"/v1/videos/{video['id']}/retry").json()["status"] == "queued"

    def test_only_what_has_failed_is_retried(self, http: httpx.Client) -> None:
        answer = http.post(f"/v1/videos/{created(http)['id']}/retry")

        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")

    def test_a_cancelled_video_says_so(self, http: httpx.Client) -> None:
        cancelled = http.post(f"/v1/videos/{created(http)['id']}/cancel").json()

        assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")

    def test_a_finished_video_tells_of_its_result(self, http: httpx.Client, gateway: ServedGateway) -> None:
        video = created(http)
        gateway.succeed(video["talkingvideo"]["name"])
        result = http.get(f"/v1/videos/{video['id']}").json()["talkingvideo"]["result"]

        assert (result["frame_count"], result["duration_seconds"]) == (350, 14.0)
        assert http.get(result["content"]).content == VIDEO

    def test_a_part_of_the_content_is_sent(self, http: httpx.Client, gateway: ServedGateway) -> None:
        video = created(http)
        gateway.succeed(video["talkingvideo"]["name"])
        answer = http.get(f"/v1/videos/{video['id']}/content", headers={"Range": "bytes=4-7"})

        assert (answer.status_code, answer.content) == (206, VIDEO[4:8])

    def test_there_is_no_sprite_sheet(self, http: httpx.Client) -> None:
        answer = http.get(f"/v1/videos/{created(http)['id']}/content", params={"variant": "spritesheet"})

        assert answer.status_code == 404
        assert "sprite sheet" in answer.json()["detail"]

    def test_a_link_works_without_credentials(self, http: httpx.Client, gateway: ServedGateway) -> None:
        video = created(http)
        gateway.succeed(video["talkingvideo"]["name"])
        shared = http.post(f"/v1/videos/{video['id']}/link", json={"seconds": 60}).json()

        assert httpx.get(shared["url"]).content == VIDEO

    def test_what_is_not_finished_is_not_shared(self, http: httpx.Client) -> None:
        assert http.post(f"/v1/videos/{created(http)['id']}/link").status_code == 404


class TestRemix:
    def test_uploads_are_used_again(self, http: httpx.Client, gateway: ServedGateway) -> None:
        first = http.post("/v1/videos", files=FILES).json()
        change = {"talkingvideo": {"output": {"loudness": -20}}}
        second = http.post(f"/v1/videos/{first['id']}/remix", json=change).json()

        assert spec_of(gateway, second) == spec_of(gateway, first) | {"output": {"loudness": -20.0}}

    def test_a_new_recording_keeps_the_speaker_s_place(self, http: httpx.Client, gateway: ServedGateway) -> None:
        speaker = {"text": "Hello.", "voice": "en-us", "region": {"left": 0, "top": 0, "width": 1, "height": 1}}
        picture = {"input_reference": URLS["input_reference"]}
        first = http.post("/v1/videos", json=picture | {"talkingvideo": {"speech": {"speakers": [speaker]}}}).json()
        answer = http.post(f"/v1/videos/{first['id']}/remix", files={"audio": FILES["audio"]})
        (changed,) = spec_of(gateway, answer.json())["speech"]["speakers"]

        assert changed["region"] == speaker["region"]
        assert content_of(changed["audio"]["uri"]) == SOUND
        assert "text" not in changed

    def test_what_was_cancelled_is_made(self, http: httpx.Client, gateway: ServedGateway) -> None:
        first = created(http)
        http.post(f"/v1/videos/{first['id']}/cancel")
        second = http.post(f"/v1/videos/{first['id']}/remix").json()

        assert second["status"] == "queued"

    def test_files_of_other_videos_cannot_be_named(self, http: httpx.Client, gateway: ServedGateway) -> None:
        other = spec_of(gateway, http.post("/v1/videos", files=FILES).json())["source"]["image"]["uri"]
        change = {"talkingvideo": {"source": {"image": {"uri": other}}}}

        assert http.post(f"/v1/videos/{created(http)['id']}/remix", json=change).status_code == 400


class TestWaiting:
    def test_sync_answers_with_the_file(self, http: httpx.Client, gateway: ServedGateway) -> None:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(http.post, "/v1/videos/sync", files=FILES)
            gateway.succeed(gateway.first_video().name)
            answer = waiting.result()

        assert (answer.headers["content-type"], answer.content) == ("video/mp4", VIDEO)

    @pytest.mark.parametrize(
        ("code", "status"),
        [(ErrorCode.INPUT_VALIDATION, 400), (ErrorCode.GENERATION_RUNTIME, 500), (ErrorCode.TIMEOUT, 504)],
    )
    def test_sync_says_why_there_is_no_file(
        self, http: httpx.Client, gateway: ServedGateway, code: ErrorCode, status: int
    ) -> None:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(http.post, "/v1/videos/sync", files=FILES)
            gateway.fail(gateway.first_video().name, code, "It broke.")
            answer = waiting.result()

        assert (answer.status_code, answer.json()["detail"]) == (status, "It broke.")

    def test_a_plan_makes_no_video_and_leaves_nothing(self, http: httpx.Client, gateway: ServedGateway) -> None:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(http.post, "/v1/videos:plan", json=URLS)
            name = gateway.first_video().name
            assert gateway.document(name)["spec"]["dryRun"] is True
            gateway.plan(name)
            answer = waiting.result().json()

        assert [chunk["frames"] for chunk in answer["talkingvideo"]["chunks"]] == [100, 50]
        assert answer["talkingvideo"]["estimate"] == {"windows": 3, "gpuSeconds": 12.0}
        assert gateway.videos() == []

    def test_a_plan_that_takes_longer_has_an_id(self, http: httpx.Client) -> None:
        answer = http.post("/v1/videos:plan", params={"wait": 0}, json=URLS).json()

        assert http.get(f"/v1/videos/{answer['id']}").json()["status"] == "queued"


class NamedCallers:
    """Whoever says a name has it."""

    async def authenticate(self, connection: Any) -> Caller:
        """See `Authenticator`."""
        return Caller(connection.headers["x-caller"], "default")


def test_videos_of_another_caller_are_not_there(tmp_path: Path) -> None:
    with served_gateway(tmp_path, authenticator=NamedCallers()) as gateway:
        mine, theirs = (gateway.client(headers={"x-caller": name}) for name in ("me", "they"))
        with mine, theirs:
            path = f"/v1/videos/{mine.post('/v1/videos', files=FILES).json()['id']}"
            answers = [
                theirs.get(path),
                theirs.delete(path),
                theirs.get(f"{path}/content"),
                theirs.get(f"{path}/events"),
                *(theirs.post(f"{path}/{act}") for act in ("remix", "cancel", "retry", "link")),
            ]
            assert theirs.get("/v1/videos").json()["data"] == []
            assert mine.get(path).status_code == 200

    assert {answer.status_code for answer in answers} == {404}
