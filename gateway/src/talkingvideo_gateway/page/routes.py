"""Serves the page, confined by a strict Content-Security-Policy: nothing but its own files runs, and nothing leaves it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.http.dependencies import CallerOf, ServiceOf
from talkingvideo_gateway.page.assets import PREFIX, Asset, load
from talkingvideo_gateway.page.facts import facts

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}

FOR_EVER = "public, max-age=31536000, immutable"

PAGE = load()

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    """The page. It is asked for anew each time, and answered with 304 while it is the same."""
    etag = f'"{PAGE.digest}"'
    headers = {"Cache-Control": "no-cache", "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=HEADERS | headers)
    return _send(request, PAGE.index, headers)


@router.get(f"{PREFIX}/facts")
async def page_facts(caller: CallerOf, service: ServiceOf) -> dict[str, Any]:
    """What the page must know of this gateway and of who looks at it."""
    return facts(caller, service.health(), has_parts=service.has_parts)


@router.api_route(f"{PREFIX}/{{digest}}/{{path:path}}", methods=["GET", "HEAD"])
async def asset(digest: str, path: str, request: Request) -> Response:
    """A file of the page."""
    found = PAGE.assets.get(path) if digest == PAGE.digest else None
    if found is None:
        raise NotFoundError("The page has no such file. Load the page again.")
    return _send(request, found, {"Cache-Control": FOR_EVER})


def _send(request: Request, file: Asset, headers: dict[str, str]) -> Response:
    headers = HEADERS | headers
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.zipped, media_type=file.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)
