"""The routes under ``/v2/{endpoint}``: statuses, bodies and errors as RunPod's documents and clients have them."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection
from tests.gateway.dialects.runpod.bodies import BATCH, CONDITIONS, SITE
from tests.gateway.serving import THUMBNAIL, VIDEO, ServedGateway, served_gateway

from talkingvideo_api.conditions import Phase
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.status import StageAttempts, Timings
from talkingvideo_gateway.dialects.runpod import routes
from talkingvideo_gateway.identity.caller import Caller, CallerLimits
from talkingvideo_gateway.settings import GatewayConfig, RunPodEndpoint

INPUT: dict[str, Any] = {"image_url": f"{SITE}/portrait.jpg", "wav_url": f"{SITE}/audio.wav"}
HUB: dict[str, Any] = {**INPUT, "width": 512, "height": 512}
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(http: httpx.Client, given: dict[str, Any] | None = None, **body: Any) -> str:
    answer = http.post("/v2/talking/run", json={"input": given or INPUT, **body})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def status(http: httpx.Client, job: str) -> dict[str, Any]:
    answer = http.get(f"/v2/talking/status/{job}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def run_batch(http: httpx.Client) -> str:
    return run(http, BATCH.body["input"])


class TestRun:
    def test_answers_with_id_and_status_alone(self, http: httpx.Client, gateway: ServedGateway) -> None:
        answer = http.post("/v2/talking/run", json={"input": INPUT})

        assert answer.status_code == 200
        assert answer.json().keys() == {"id", "status"}
        assert answer.json()["status"] == "IN_QUEUE"
        assert re.fullmatch(f"{UUID}-u1", answer.json()["id"])
        assert gateway.video(answer.json()["id"]).spec["source"]["image"]["uri"] == f"{SITE}/portrait.jpg"

    def test_says_what_was_changed(self, http: httpx.Client) -> None:
        answer = http.post("/v2/talking/run", json=CONDITIONS[4].body).json()

        assert any("motion_frame 11 was changed to 9" in warning for warning in answer["warnings"])

    def test_the_same_idempotency_key_is_the_same_job(self, http: httpx.Client, gateway: ServedGateway) -> None:
        headers = {"Idempotency-Key": "once"}
        first, second = (
            http.post("/v2/talking/run", json={"input": INPUT}, headers=headers).json()["id"] for _ in range(2)
        )

        assert first == second
        assert len(gateway.videos()) == 1

    def test_an_idempotency_key_belongs_to_one_request(self, http: httpx.Client) -> None:
        headers = {"Idempotency-Key": "once"}
        http.post("/v2/talking/run", json={"input": INPUT}, headers=headers)
        answer = http.post("/v2/talking/run", json={"input": INPUT | {"prompt": "other"}}, headers=headers)

        assert (answer.status_code, answer.json().keys()) == (422, {"error"})

    @pytest.mark.parametrize(
        ("body", "status", "error"),
        [
            ({"input": {}}, 400, "input.image_url: It is missing."),
            ({}, 400, "input: Field required"),
            ({"input": []}, 400, "input: Input should be a valid dictionary"),
            ({"input": INPUT | {"\ud800": 1}}, 400, "It is not UTF-8."),
            ({"input": INPUT | {"prompt": "a\0b"}}, 400, "input.prompt: A text must not contain NUL."),
            ({"input": INPUT, "policy": {"ttl": -1}}, 400, "policy.ttl: Input should be greater than 0"),
            (
                {"input": INPUT, "s3Config": {"accessId": "a"}},
                400,
                "s3Config: Credentials in a request are not accepted",
            ),
            (
                {"input": {"image_url": "http://example.com/a.jpg", "wav_url": f"{SITE}/a.wav"}},
                400,
                "spec.source.image",
            ),
        ],
    )
    def test_what_cannot_be_used_is_refused(
        self, http: httpx.Client, gateway: ServedGateway, body: dict[str, Any], status: int, error: str
    ) -> None:
        headers = {"Content-Type": "application/json"}
        answer = http.post("/v2/talking/run", content=json.dumps(body), headers=headers)

        assert (answer.status_code, answer.json().keys()) == (status, {"error"})
        assert answer.json()["error"].startswith(error)
        assert gateway.videos() == []

    def test_the_content_type_is_not_asked_for(self, http: httpx.Client) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = http.post("/v2/talking/run", content=json.dumps({"input": INPUT}), headers=headers)

        assert answer.status_code == 200

    def test_runsync_answers_with_the_output(self, http: httpx.Client, gateway: ServedGateway) -> None:
        def finish() -> None:
            while not gateway.videos():
                time.sleep(0.05)
            gateway.succeed(gateway.videos()[0].name)

        threading.Thread(target=finish).start()
        answer = http.post("/v2/talking/runsync", json={"input": INPUT}).json()

        assert re.fullmatch(f"sync-{UUID}-u1", answer["id"])
        assert answer["status"] == "COMPLETED"
        assert httpx.get(answer["output"]["video_url"]).content == VIDEO

    def test_runsync_answers_with_the_id_after_the_wait(self, http: httpx.Client) -> None:
        answer = http.post("/v2/talking/runsync?wait=1", json={"input": INPUT})

        assert answer.status_code == 200
        assert answer.json().keys() == {"id", "status"}


class TestStatus:
    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ("render", "IN_PROGRESS"),
            ("succeed", "COMPLETED"),
            ("fail", "FAILED"),
            ("cancelled", "CANCELLED"),
        ],
    )
    def test_states_have_runpod_s_words(
        self, http: httpx.Client, gateway: ServedGateway, change: str, word: str
    ) -> None:
        job = run(http)
        getattr(gateway, change)(job)

        assert status(http, job)["status"] == word

    @pytest.mark.parametrize("path", ["status", "status-sync", "stream"])
    def test_go_s_client_posts(self, http: httpx.Client, gateway: ServedGateway, path: str) -> None:
        job = run(http)
        gateway.succeed(job)
        answers = [http.request(method, f"/v2/talking/{path}/{job}") for method in ("GET", "POST")]

        assert [answer.status_code for answer in answers] == [200, 200]
        assert [answer.json()["status"] for answer in answers] == ["COMPLETED", "COMPLETED"]

    def test_a_waiting_job_has_no_times_and_no_output(self, http: httpx.Client) -> None:
        job = run(http)

        assert status(http, job) == {
            "id": job,
            "status": "IN_QUEUE",
            "percent": 0,
            "statusText": "Waiting in the queue.",
        }

    def test_a_running_job_has_its_progress_as_output(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http)
        gateway.render(job)
        answer = status(http, job)

        assert (answer["percent"], answer["statusText"]) == (40, "Rendering: 2 of 4 chunks are finished.")
        assert answer["output"] == {
            "stage": "generation_start",
            "pct": 40,
            "job_id": job,
            "details": {"message": answer["statusText"], "chunks_done": 2, "chunks_total": 4},
        }

    def test_times_are_milliseconds(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http)
        begun = gateway.video(job).created + timedelta(seconds=3)
        gateway.succeed(
            job,
            start_time=begun,
            completion_time=begun + timedelta(seconds=60),
            timings=Timings(queued_seconds=2.5, total_seconds=60),
        )
        answer = status(http, job)

        assert (answer["delayTime"], answer["executionTime"]) == (5_500, 57_500)

    def test_failed_attempts_are_retries(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http)
        attempts = StageAttempts(stage="prepare", failures=2, next_attempt=2)
        gateway.set_status(job, phase=Phase.PREPARING, stage_attempts=(attempts,))

        assert status(http, job)["retries"] == 2

    def test_a_deadline_is_timed_out(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http)
        gateway.fail(job, ErrorCode.TIMEOUT, "It took too long.")

        assert status(http, job)["status"] == "TIMED_OUT"
        assert status(http, job)["error"] == "It took too long."

    def test_status_sync_answers_at_the_end(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http)
        threading.Timer(0.3, lambda: gateway.succeed(job)).start()

        assert http.get(f"/v2/talking/status-sync/{job}?wait=90000").json()["status"] == "COMPLETED"

    def test_status_sync_answers_after_the_wait(self, http: httpx.Client) -> None:
        assert http.get(f"/v2/talking/status-sync/{run(http)}?wait=0").json()["status"] == "IN_QUEUE"

    def test_ttl_is_accepted(self, http: httpx.Client) -> None:
        assert http.get(f"/v2/talking/status/{run(http)}?ttl=6000").status_code == 200

    @pytest.mark.parametrize("call", ["GET status", "GET stream", "POST cancel", "POST retry", "GET status-sync"])
    @pytest.mark.parametrize("job", ["00000000-0000-4000-8000-000000000000-u1", "NOT A NAME", "..%2f..", "a" * 300])
    def test_an_unknown_job_is_not_found(self, http: httpx.Client, call: str, job: str) -> None:
        method, path = call.split()
        answer = http.request(method, f"/v2/talking/{path}/{job}")

        assert (answer.status_code, answer.json().keys()) == (404, {"error"})

    def test_an_unknown_path_and_method_have_runpod_s_form(self, http: httpx.Client) -> None:
        answers = [http.get("/v2/talking/nothing"), http.get("/v2/talking/run")]

        assert [answer.status_code for answer in answers] == [404, 405]
        assert all(answer.json().keys() == {"error"} for answer in answers)


class TestOutput:
    def test_base64_of_the_hub_s_worker(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http, HUB)
        gateway.succeed(job)

        assert base64.b64decode(status(http, job)["output"]["video"]) == VIDEO

    def test_what_is_too_large_for_an_answer_is_an_address(
        self, http: httpx.Client, gateway: ServedGateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("talkingvideo_gateway.dialects.runpod.jobs.INLINE_BYTES", 4)
        job = run(http, HUB)
        gateway.succeed(job)

        assert httpx.get(status(http, job)["output"]["video_url"]).content == VIDEO

    def test_a_result_that_is_gone_is_no_error(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http, HUB)
        gateway.succeed(job)
        for file in (gateway.folder / "results").rglob("*.mp4"):
            file.unlink()

        assert status(http, job)["output"].keys() == {"video_url"}

    def test_everything_that_is_known(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http, CONDITIONS[0].body["input"])
        gateway.succeed(
            job,
            start_time=NOW,
            prepared_time=NOW + timedelta(seconds=5),
            rendered_time=NOW + timedelta(seconds=65),
            completion_time=NOW + timedelta(seconds=70),
            timings=Timings(rendering_seconds=60, total_seconds=70),
        )
        output = status(http, job)["output"]

        assert (output["job_id"], output["status"], output["logs"]) == (job, "success", None)
        assert httpx.get(output["video"]["url"]).content == VIDEO
        assert (output["video"]["mime"], output["video"]["bytes"]) == ("video/mp4", len(VIDEO))
        assert output["timings"] == {"generation_ms": 60_000, "total_ms": 70_000}
        assert output["params"].keys() == {
            "size",
            "frame_num",
            "sample_steps",
            "motion_frame",
            "use_teacache",
            "use_apg",
            "base_seed",
        }
        assert httpx.get(output["video"]["thumbnail_url"]).content == THUMBNAIL
        assert [artifact["type"] for artifact in output["artifacts"]] == ["video", "thumbnail"]
        assert [checkpoint["event"] for checkpoint in output["checkpoints"]] == [
            "validated",
            "preprocessing_done",
            "generation_start",
            "postprocess_mux",
            "completed",
        ]

    def test_inline_is_in_the_artifact_alone(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http, CONDITIONS[0].body["input"] | {"output_config": {"store": "inline"}})
        gateway.succeed(job)
        output = status(http, job)["output"]

        assert output["video"]["url"] is None
        assert base64.b64decode(output["artifacts"][0]["base64"]) == VIDEO

    def test_an_error_is_a_text_with_the_error_s_json(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http, CONDITIONS[0].body["input"])
        gateway.fail(job, ErrorCode.DOWNLOAD_FAILED, "The picture is not there.")
        answer = status(http, job)

        assert json.loads(answer["error"])["code"] == "E_DOWNLOAD_FAILED"
        assert json.loads(answer["error"]) == answer["output"]["error"]
        assert (answer["output"]["status"], answer["output"]["job_id"]) == ("error", job)

    @pytest.mark.parametrize("given", [INPUT, HUB], ids=["urls", "hub"])
    def test_other_workers_errors_are_texts(
        self, http: httpx.Client, gateway: ServedGateway, given: dict[str, Any]
    ) -> None:
        job = run(http, given)
        gateway.fail(job, message="The picture has no face.")
        answer = status(http, job)

        assert answer["error"] == "The picture has no face."
        assert "output" not in answer


class TestStream:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routes, "STREAM_SECONDS", 0.3)

    def test_a_running_job_has_its_progress(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http)
        gateway.render(job, 60)

        answer = http.get(f"/v2/talking/stream/{job}").json()
        assert answer["status"] == "IN_PROGRESS"
        assert [piece["output"]["pct"] for piece in answer["stream"]] == [60]

    @pytest.mark.parametrize("change", ["succeed", "fail", "cancelled"])
    def test_an_ended_job_has_nothing(self, http: httpx.Client, gateway: ServedGateway, change: str) -> None:
        job = run(http)
        getattr(gateway, change)(job)

        assert http.get(f"/v2/talking/stream/{job}").json()["stream"] == []

    def test_a_cancelled_job_s_stream_is_held(self, http: httpx.Client) -> None:
        job = run(http)
        http.post(f"/v2/talking/cancel/{job}")
        before = time.monotonic()

        assert http.get(f"/v2/talking/stream/{job}").json() == {"status": "CANCELLED", "stream": []}
        assert time.monotonic() - before >= 0.3


class TestQueue:
    def test_a_job_that_has_ended_is_not_cancelled(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http)
        gateway.succeed(job)

        assert http.post(f"/v2/talking/cancel/{job}", json={}).json() == {"id": job, "status": "COMPLETED"}

    def test_a_failed_job_is_retried_under_its_id(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run(http)
        gateway.fail(job)

        assert http.post(f"/v2/talking/retry/{job}").json() == {"id": job, "status": "IN_QUEUE"}
        assert http.get("/v2/talking/health").json()["jobs"]["retried"] == 1

    def test_a_waiting_job_is_not_retried(self, http: httpx.Client) -> None:
        answer = http.post(f"/v2/talking/retry/{run(http)}")

        assert (answer.status_code, answer.json().keys()) == (409, {"error"})

    def test_purging_takes_what_waits_at_this_endpoint(self, http: httpx.Client, gateway: ServedGateway) -> None:
        running, waiting = run(http), run(http)
        other = http.post("/v2/other/run", json={"input": INPUT}).json()["id"]
        gateway.render(running)

        assert http.post("/v2/talking/purge-queue").json() == {"removed": 1, "status": "completed"}
        assert [status(http, job)["status"] for job in (running, waiting, other)] == [
            "IN_PROGRESS",
            "CANCELLED",
            "IN_QUEUE",
        ]

    def test_requests_are_those_that_have_not_ended(self, http: httpx.Client, gateway: ServedGateway) -> None:
        running, _ended = run(http), run(http)
        gateway.render(running)
        gateway.succeed(_ended)

        answer = http.get("/v2/talking/requests").json()
        assert answer == {"requests": [{"id": running, "status": "IN_PROGRESS"}]}

    def test_health_says_when_nothing_is_rendered(self, http: httpx.Client, gateway: ServedGateway) -> None:
        gateway.health = type(gateway.health)(ready=False, engine="preview", gpu=False)

        assert http.get("/v2/talking/health").json()["workers"] == {
            "idle": 0,
            "initializing": 0,
            "ready": 0,
            "running": 0,
            "throttled": 0,
        }


class TestBatch:
    def test_items_are_videos_of_one_job(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run_batch(http)

        assert [video.name for video in gateway.videos()] == [f"{job}-0", f"{job}-1"]
        assert {video.batch for video in gateway.videos()} == {job}
        assert status(http, job)["status"] == "IN_QUEUE"

    def test_progress_names_the_item(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run_batch(http)
        gateway.succeed(f"{job}-0")
        gateway.render(f"{job}-1", 40)
        output = status(http, job)["output"]

        assert (output["item_id"], output["item_index"], output["pct"]) == ("item-2", 1, 70)

    @pytest.mark.parametrize(
        ("changes", "word", "whole"),
        [
            (("succeed", "succeed"), "COMPLETED", "success"),
            (("succeed", "fail"), "COMPLETED", "partial"),
            (("fail", "fail"), "FAILED", "partial"),
            (("succeed", "cancelled"), "CANCELLED", "partial"),
        ],
    )
    def test_the_job_is_what_its_items_are(
        self, http: httpx.Client, gateway: ServedGateway, changes: tuple[str, str], word: str, whole: str
    ) -> None:
        job = run_batch(http)
        for place, change in enumerate(changes):
            getattr(gateway, change)(f"{job}-{place}")
        answer = status(http, job)

        assert (answer["status"], answer["output"]["status"]) == (word, whole)
        assert [item["id"] for item in answer["output"]["items"]] == ["item-1", "item-2"]
        assert [item["result"]["status"] for item in answer["output"]["items"]] == [
            "success" if change == "succeed" else "error" for change in changes
        ]

    def test_a_batch_of_failures_has_an_error(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run_batch(http)
        for place in (0, 1):
            gateway.fail(f"{job}-{place}", message=f"It broke {place} times.")

        assert json.loads(status(http, job)["error"])["message"] == "It broke 0 times."

    def test_cancelling_ends_all(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run_batch(http)

        assert http.post(f"/v2/talking/cancel/{job}").json()["status"] == "CANCELLED"
        assert all(video.spec["cancel"] for video in gateway.videos())

    def test_retrying_starts_those_that_failed(self, http: httpx.Client, gateway: ServedGateway) -> None:
        job = run_batch(http)
        gateway.succeed(f"{job}-0")
        gateway.fail(f"{job}-1")

        assert http.post(f"/v2/talking/retry/{job}").json()["status"] == "IN_PROGRESS"
        assert [video.retry is not None for video in gateway.videos()] == [False, True]

    def test_a_batch_is_purged_as_one_job(self, http: httpx.Client) -> None:
        run_batch(http)

        assert http.post("/v2/talking/purge-queue").json()["removed"] == 1

    def test_all_are_accepted_or_none(self, tmp_path: Path) -> None:
        config = GatewayConfig(limits=CallerLimits(queue=0, at_once=1))
        with served_gateway(tmp_path, config) as gateway, gateway.client() as http:
            answer = http.post("/v2/talking/run", json=BATCH.body)

            assert (answer.status_code, answer.json().keys()) == (429, {"error"})
            assert int(answer.headers["Retry-After"]) > 0
            assert gateway.videos() == []

    def test_the_same_idempotency_key_is_the_same_batch(self, http: httpx.Client, gateway: ServedGateway) -> None:
        headers = {"Idempotency-Key": "once"}
        ids = {http.post("/v2/talking/run", json=BATCH.body, headers=headers).json()["id"] for _ in range(2)}
        changed = {
            "input": {"batch": [*BATCH.body["input"]["batch"][:1], {**BATCH.body["input"]["batch"][1], "size": None}]}
        }
        refused = http.post("/v2/talking/run", json=changed, headers=headers)

        assert len(ids) == 1
        assert refused.status_code == 422
        assert len(gateway.videos()) == 2


class TestEndpoints:
    @pytest.fixture
    def config(self) -> GatewayConfig:
        return GatewayConfig(endpoints={"talking": RunPodEndpoint(profile="fast")})

    def test_a_configured_endpoint_has_its_profile(self, http: httpx.Client, gateway: ServedGateway) -> None:
        assert gateway.document(run(http))["spec"]["profile"] == "fast"

    @pytest.mark.parametrize("call", ["POST run", "POST runsync", "GET health", "POST purge-queue", "GET status/a-u1"])
    def test_another_one_is_not_found(self, http: httpx.Client, call: str) -> None:
        method, path = call.split()
        answer = http.request(method, f"/v2/other/{path}", json={"input": INPUT} if "run" in path else None)

        assert (answer.status_code, answer.json()) == (404, {"error": "There is no endpoint of that id."})


class ByHeader:
    """Takes whoever calls at their word."""

    async def authenticate(self, connection: HTTPConnection) -> Caller:
        return Caller(connection.headers["authorization"], "default")


class TestCallers:
    @pytest.mark.parametrize("given", [INPUT, BATCH.body["input"]], ids=["one", "batch"])
    def test_a_job_is_its_caller_s(self, tmp_path: Path, given: dict[str, Any]) -> None:
        with (
            served_gateway(tmp_path, authenticator=ByHeader()) as gateway,
            gateway.client(headers={"authorization": "anna"}) as anna,
            gateway.client(headers={"authorization": "bert"}) as bert,
        ):
            job = run(anna, given)
            calls = [
                ("GET", "status"),
                ("GET", "status-sync"),
                ("GET", "stream"),
                ("POST", "cancel"),
                ("POST", "retry"),
            ]

            assert [bert.request(method, f"/v2/talking/{path}/{job}").status_code for method, path in calls] == [
                404
            ] * 5
            assert bert.post("/v2/talking/purge-queue").json()["removed"] == 0
            assert bert.get("/v2/talking/requests").json() == {"requests": []}
            assert bert.get("/v2/talking/health").json()["jobs"]["inQueue"] == 0
            assert status(anna, job)["status"] == "IN_QUEUE"

    def test_two_callers_keys_are_two_jobs(self, tmp_path: Path) -> None:
        with served_gateway(tmp_path, authenticator=ByHeader()) as gateway, gateway.client() as http:
            ids = {
                http.post(
                    "/v2/talking/run",
                    json={"input": INPUT},
                    headers={"authorization": caller, "Idempotency-Key": "once"},
                ).json()["id"]
                for caller in ("anna", "bert")
            }
            assert len(ids) == 2
