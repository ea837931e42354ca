"""The ``runpod`` package from PyPI, as its users call it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import runpod
from aiohttp import ClientSession
from starlette.requests import HTTPConnection
from tests.gateway.serving import ServedGateway, served_gateway

from talkingvideo_gateway.dialects.runpod import routes
from talkingvideo_gateway.errors import UnauthenticatedError
from talkingvideo_gateway.identity.caller import Caller

KEY = "of-the-tests"
INPUT = {"image_url": "https://example.com/portrait.jpg", "wav_url": "https://example.com/audio.wav"}


class ByKey:
    """Knows one key, with and without the word Bearer."""

    async def authenticate(self, connection: HTTPConnection) -> Caller:
        if connection.headers.get("authorization", "").removeprefix("Bearer ") != KEY:
            raise UnauthenticatedError("Send a key that is known here.")
        return Caller("tester", "default")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ServedGateway]:
    with served_gateway(tmp_path, authenticator=ByKey()) as served:
        yield served


@pytest.fixture
def endpoint(gateway: ServedGateway, monkeypatch: pytest.MonkeyPatch) -> runpod.Endpoint:
    monkeypatch.setattr(runpod, "endpoint_url_base", f"{gateway.url}/v2")
    return runpod.Endpoint("talking", api_key=KEY)


def later(work: Callable[[], object]) -> None:
    """Do something while the client waits."""

    def run() -> None:
        time.sleep(0.3)
        work()

    threading.Thread(target=run).start()


def only(gateway: ServedGateway) -> str:
    (video,) = gateway.videos()
    return video.name


def test_a_job_is_run_and_waited_for(endpoint: runpod.Endpoint, gateway: ServedGateway) -> None:
    job = endpoint.run(INPUT)
    assert job.status() == "IN_QUEUE"

    gateway.render(job.job_id)
    assert job.status() == "IN_PROGRESS"
    assert job.output()["pct"] == 40

    gateway.succeed(job.job_id)
    assert job.output(timeout=5)["video_url"].startswith(gateway.url)
    assert job.status() == "COMPLETED"


def test_run_sync_returns_the_output(endpoint: runpod.Endpoint, gateway: ServedGateway) -> None:
    later(lambda: gateway.succeed(only(gateway)))

    assert set(endpoint.run_sync({"input": INPUT}, timeout=20)) == {"video_url"}


def test_a_stream_has_the_progress_and_ends(
    endpoint: runpod.Endpoint, gateway: ServedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "STREAM_SECONDS", 0.5)
    job = endpoint.run(INPUT)
    gateway.render(job.job_id, 60)
    pieces = job.stream()
    first = next(pieces)
    gateway.succeed(job.job_id)

    assert first["pct"] == 60
    assert list(pieces) == []


def test_a_job_is_cancelled(endpoint: runpod.Endpoint, gateway: ServedGateway) -> None:
    job = endpoint.run(INPUT)

    assert job.cancel() == {"id": job.job_id, "status": "CANCELLED"}
    assert job.status() == "CANCELLED"
    assert gateway.document(job.job_id)["spec"]["cancel"] is True


def test_a_failed_job_has_no_output_and_its_error(endpoint: runpod.Endpoint, gateway: ServedGateway) -> None:
    job = endpoint.run(INPUT)
    gateway.fail(job.job_id, message="The picture has no face.")

    assert job.output(timeout=5) is None
    assert job._fetch_job()["error"] == "The picture has no face."


def test_the_queue_is_purged(endpoint: runpod.Endpoint, gateway: ServedGateway) -> None:
    running, waiting = endpoint.run(INPUT), endpoint.run(INPUT)
    gateway.render(running.job_id)

    assert endpoint.purge_queue() == {"removed": 1, "status": "completed"}
    assert (running.status(), waiting.status()) == ("IN_PROGRESS", "CANCELLED")


def test_health_counts_jobs_and_workers(endpoint: runpod.Endpoint, gateway: ServedGateway) -> None:
    gateway.render(endpoint.run(INPUT).job_id)
    endpoint.run(INPUT)

    assert endpoint.health() == {
        "jobs": {"completed": 0, "failed": 0, "inProgress": 1, "inQueue": 1, "retried": 0},
        "workers": {"idle": 0, "initializing": 0, "ready": 1, "running": 1, "throttled": 0},
    }


async def _asynchronously(gateway: ServedGateway) -> tuple[str, Any]:
    async with ClientSession() as session:
        endpoint = runpod.AsyncioEndpoint("talking", session, api_key=KEY)
        job = await endpoint.run(INPUT)
        later(lambda: gateway.succeed(job.job_id))
        return await job.status(), await job.output(timeout=20)


def test_the_asynchronous_endpoint(endpoint: runpod.Endpoint, gateway: ServedGateway) -> None:
    before, output = asyncio.run(_asynchronously(gateway))

    assert before == "IN_QUEUE"
    assert output["video_url"].startswith(gateway.url)


def test_a_wrong_key_is_what_the_client_says_it_is(gateway: ServedGateway, endpoint: runpod.Endpoint) -> None:
    stranger = runpod.Endpoint("talking", api_key="another")

    with pytest.raises(RuntimeError, match="401 Unauthorized"):
        stranger.run(INPUT)


def test_a_raw_key_is_a_key(gateway: ServedGateway) -> None:
    answers: list[Any] = [
        httpx.get(f"{gateway.url}/v2/talking/health", headers={"authorization": value}).status_code
        for value in (KEY, f"Bearer {KEY}", "")
    ]
    assert answers == [200, 200, 401]
