"""The routes under ``/v2/{endpoint}``."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import JSONResponse, Response

from talkingvideo_gateway.dialects.runpod import responses
from talkingvideo_gateway.dialects.runpod.body import DOCUMENT, BodyOf
from talkingvideo_gateway.dialects.runpod.job import Job
from talkingvideo_gateway.dialects.runpod.jobs import Jobs, results_of
from talkingvideo_gateway.dialects.runpod.requests import Recipient, job_id, to_requests
from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.http.dependencies import CallerOf, CallerRoute, Gateway, GatewayOf, ServiceOf
from talkingvideo_gateway.http.sending import send_json_with_files
from talkingvideo_gateway.http.volumes import Volumes
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.settings import RunPodEndpoint
from talkingvideo_gateway.videos.object import State

PATH = "/v2"
LONGEST_ENDPOINT = 64
LEAST_WAIT_MS, WAIT_MS, MOST_WAIT_MS = 1_000, 90_000, 300_000
STATUS_WAIT_MS = 8_000
"""How long ``/status-sync`` holds a request that does not say how long."""

STREAM_SECONDS = 5.0
"""How long ``/stream`` waits for news. Clients ask again without a pause, and give up after 10 s."""

router = APIRouter(prefix=f"{PATH}/{{endpoint}}", tags=["runpod"], route_class=CallerRoute)


async def settings_of(endpoint: str, gateway: GatewayOf) -> RunPodEndpoint:
    """What is configured for the endpoint; every id is one as long as none is configured.

    Raises:
        NotFoundError: Others are configured, and this one is not.
    """
    configured = gateway.config.endpoints
    if len(endpoint) > LONGEST_ENDPOINT or (configured and endpoint not in configured):
        raise NotFoundError("There is no endpoint of that id.")
    return configured.get(endpoint, RunPodEndpoint())


async def jobs_of_caller(caller: CallerOf, service: ServiceOf) -> Jobs:
    """The caller's jobs."""
    return Jobs(service, caller)


EndpointOf = Annotated[RunPodEndpoint, Depends(settings_of)]
KNOWN = [Depends(settings_of)]
"""The endpoint is one that is configured."""

JobsOf = Annotated[Jobs, Depends(jobs_of_caller)]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)]
Wait = Annotated[float, Query(description="Milliseconds that the answer may wait for the job's end, 1000 to 300000.")]
Ttl = Annotated[float | None, Query(alias="ttl", description="Without effect: jobs are kept until they are deleted.")]


@router.post("/run", openapi_extra=DOCUMENT)
async def run(
    endpoint: str,
    body: BodyOf,
    caller: CallerOf,
    gateway: GatewayOf,
    jobs: JobsOf,
    settings: EndpointOf,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Start a job."""
    job = job_id("", caller.name, endpoint, idempotency_key)
    recipient = Recipient(job, endpoint, settings, Volumes(gateway.config.paths), idempotency_key)
    return responses.accepted(await jobs.submit(job, await asyncio.to_thread(to_requests, body, recipient)))


@router.post("/runsync", openapi_extra=DOCUMENT)
async def runsync(
    endpoint: str,
    body: BodyOf,
    request: Request,
    caller: CallerOf,
    gateway: GatewayOf,
    jobs: JobsOf,
    settings: EndpointOf,
    wait: Wait = WAIT_MS,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Start a job and wait for its end, or answer with its id after a while."""
    job = job_id("sync-", caller.name, endpoint, idempotency_key)
    recipient = Recipient(job, endpoint, settings, Volumes(gateway.config.paths), idempotency_key)
    await jobs.submit(job, await asyncio.to_thread(to_requests, body, recipient))
    found = await jobs.wait(job, _seconds(wait), _ended)
    if not _ended(found):
        return JSONResponse(responses.accepted(found))
    return await _whole(request, gateway, caller, found)


@router.post("/status/{job}", dependencies=KNOWN, include_in_schema=False)
@router.get("/status/{job}", dependencies=KNOWN)
async def status(
    job: str, request: Request, caller: CallerOf, gateway: GatewayOf, jobs: JobsOf, _ttl: Ttl = None
) -> Response:
    """How a job stands, with its output."""
    found = await jobs.find(job)
    return await _whole(request, gateway, caller, found)


@router.post("/status-sync/{job}", dependencies=KNOWN, include_in_schema=False)
@router.get("/status-sync/{job}", dependencies=KNOWN)
async def status_sync(
    job: str, request: Request, caller: CallerOf, gateway: GatewayOf, jobs: JobsOf, wait: Wait = STATUS_WAIT_MS
) -> Response:
    """How a job stands once it has ended, or after a while."""
    found = await jobs.wait(job, _seconds(wait), _ended)
    return await _whole(request, gateway, caller, found)


@router.post("/stream/{job}", dependencies=KNOWN, include_in_schema=False)
@router.get("/stream/{job}", dependencies=KNOWN)
async def stream(job: str, jobs: JobsOf) -> dict[str, Any]:
    """The progress of a job as soon as there is news."""
    before = responses.stream(await jobs.find(job))
    found = await jobs.wait(job, STREAM_SECONDS, lambda now: _ended(now) or responses.stream(now) != before)
    if found.state is State.CANCELLED:
        # Python's client does not take this for an end, and asks for ever.
        await asyncio.sleep(STREAM_SECONDS)
    return responses.stream(found)


@router.post("/cancel/{job}", dependencies=KNOWN)
async def cancel(job: str, jobs: JobsOf) -> dict[str, Any]:
    """End a job for good."""
    return responses.brief(await jobs.cancel(job))


@router.post("/retry/{job}", dependencies=KNOWN)
async def retry(job: str, jobs: JobsOf) -> dict[str, Any]:
    """Start a job again that has failed; what was finished is kept."""
    return responses.brief(await jobs.retry(job))


@router.post("/purge-queue", dependencies=KNOWN)
async def purge_queue(endpoint: str, jobs: JobsOf) -> dict[str, Any]:
    """Cancel all jobs that wait."""
    return {"removed": await jobs.purge(endpoint), "status": "completed"}


@router.get("/requests", dependencies=KNOWN)
async def requests(endpoint: str, jobs: JobsOf) -> dict[str, Any]:
    """The jobs that have not ended."""
    return {"requests": [responses.brief(job) for job in await jobs.of_endpoint(endpoint) if not _ended(job)]}


@router.get("/health", dependencies=KNOWN)
async def health(endpoint: str, jobs: JobsOf, service: ServiceOf) -> dict[str, Any]:
    """Counts of jobs and workers."""
    return responses.health(await jobs.of_endpoint(endpoint), service.health())


async def _whole(request: Request, gateway: Gateway, caller: Caller, job: Job) -> Response:
    """A job with its output."""
    results = await results_of(request, gateway, caller, job)
    return send_json_with_files(responses.status(job, results.by_name), results.files)


def _ended(job: Job) -> bool:
    return job.state.ended


def _seconds(wait: float) -> float:
    """The wait within its bounds."""
    return max(LEAST_WAIT_MS, min(MOST_WAIT_MS, wait)) / 1_000
