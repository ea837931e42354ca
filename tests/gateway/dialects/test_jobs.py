"""``/jobs``, as its service's documents and own client have it."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from tests.gateway.serving import VIDEO, ServedGateway

from talkingvideo_api.errors import ErrorCode

TINY = base64.b64encode(b"bytes of a file").decode()
BODY = {"image_base64": TINY, "audio_base64": TINY, "width": 384, "height": 576}


def created(http: httpx.Client, **changes: Any) -> str:
    answer = http.post("/jobs", json=BODY | changes)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_job_is_accepted_with_an_id_and_waits(http: httpx.Client) -> None:
    answer = http.post("/jobs", json=BODY)

    assert answer.status_code == 202
    assert answer.json().keys() == {"id", "status"}
    assert answer.json()["status"] == "IN_QUEUE"
    assert answer.json()["id"].startswith("job-")


def test_picture_is_padded_to_the_size(http: httpx.Client, gateway: ServedGateway) -> None:
    spec = gateway.document(created(http))["spec"]

    assert spec["video"] == {"width": 384, "height": 576, "fit": "Pad"}
    assert spec["prompt"] == "high quality, realistic, speaking naturally"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("render", "RUNNING"),
        ("succeed", "COMPLETED"),
        ("fail", "FAILED"),
        ("cancelled", "CANCELLED"),
    ],
)
def test_states_have_the_service_s_words(http: httpx.Client, gateway: ServedGateway, change: str, status: str) -> None:
    job = created(http)
    getattr(gateway, change)(job)

    assert http.get(f"/jobs/{job}").json()["status"] == status


def test_a_deadline_is_timed_out(http: httpx.Client, gateway: ServedGateway) -> None:
    job = created(http)
    gateway.fail(job, ErrorCode.TIMEOUT, "It took too long.")

    assert http.get(f"/jobs/{job}").json() == {
        "id": job,
        "status": "TIMED_OUT",
        "progress": 40,
        "error": "It took too long.",
    }


def test_result_is_in_the_answer(http: httpx.Client, gateway: ServedGateway) -> None:
    job = created(http)
    gateway.succeed(job)

    assert base64.b64decode(http.get(f"/jobs/{job}").json()["video_base64"]) == VIDEO


def test_result_on_s3_is_an_address_that_needs_no_credentials(http: httpx.Client, gateway: ServedGateway) -> None:
    job = created(http, push_to_s3=True)
    gateway.succeed(job)
    answer = http.get(f"/jobs/{job}").json()

    assert "video_base64" not in answer
    assert httpx.get(answer["video_url"]).content == VIDEO


def test_odd_sizes_are_changed_and_said(http: httpx.Client, gateway: ServedGateway) -> None:
    job = created(http, width=321, height=4_000)

    assert gateway.document(job)["spec"]["video"] == {"width": 320, "height": 2_048, "fit": "Pad"}
    assert "321x4000 was changed to 320x2048" in http.get(f"/jobs/{job}").json()["warnings"][0]


@pytest.mark.parametrize("missing", BODY)
def test_a_missing_field_is_named(http: httpx.Client, missing: str) -> None:
    answer = http.post("/jobs", json={key: value for key, value in BODY.items() if key != missing})

    assert answer.status_code == 400
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert missing in answer.json()["error"]


def test_what_is_not_base64_is_refused(http: httpx.Client) -> None:
    answer = http.post("/jobs", json=BODY | {"audio_base64": "%%%"})

    assert (answer.status_code, answer.json()["error"]) == (400, "audio_base64: It is not base64.")


def test_an_unknown_job_is_not_found(http: httpx.Client) -> None:
    answer = http.get("/jobs/job-1-00000000")

    assert (answer.status_code, answer.json()) == (404, {"error": "job not found", "code": "JOB_NOT_FOUND"})


def test_deleting_twice_is_no_error(http: httpx.Client, gateway: ServedGateway) -> None:
    job = created(http)
    gateway.succeed(job)

    assert [http.post(f"/jobs/{job}/video/delete").status_code for _ in range(2)] == [204, 204]
    assert http.get(f"/jobs/{job}").status_code == 404
    assert not list((gateway.folder / "results").rglob("*.mp4"))
