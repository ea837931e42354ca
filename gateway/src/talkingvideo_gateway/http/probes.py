"""Liveness and readiness, for the kubelet and for load balancers."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from talkingvideo_gateway.http.dependencies import ServiceOf

router = APIRouter(tags=["probes"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(service: ServiceOf) -> JSONResponse:
    """Whether requests can be answered. They can be while nothing is rendered: that is ``ready``."""
    health = service.health()
    return JSONResponse({"ready": health.ready, "message": health.message}, 200 if health.serving else 503)
