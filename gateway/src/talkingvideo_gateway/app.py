"""The application: routes of all dialects over one service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Lifespan

from talkingvideo_gateway.dialects import DIALECTS, videos
from talkingvideo_gateway.http import probes, session, shared
from talkingvideo_gateway.http.dependencies import Gateway
from talkingvideo_gateway.http.dialect import add_dialects
from talkingvideo_gateway.http.limits import BodyLimit
from talkingvideo_gateway.http.links import Links
from talkingvideo_gateway.http.openapi import describe
from talkingvideo_gateway.identity.caller import MEGABYTE, AllRights, Authenticator, Rights
from talkingvideo_gateway.identity.origins import Origins
from talkingvideo_gateway.identity.session import Sessions
from talkingvideo_gateway.page import routes as page
from talkingvideo_gateway.settings import GatewayConfig
from talkingvideo_gateway.videos.backend import Backend
from talkingvideo_gateway.videos.service import VideoService
from talkingvideo_gateway.videos.uploads import Uploads

CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
CORS_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Range")
CORS_EXPOSED = ("Content-Disposition", "Content-Range", "ETag", "Retry-After")


def create_app(
    config: GatewayConfig,
    backend: AbstractAsyncContextManager[Backend],
    authenticator: Authenticator,
    link_key: str,
    rights: Rights | None = None,
) -> FastAPI:
    """Make the application.

    Args:
        config: The configuration.
        backend: What stands behind; opened when the application starts, closed when it ends.
        authenticator: Tells callers apart.
        link_key: Secret that signs links and sessions; replicas share it.
        rights: What callers may do; everything with their own videos where None.
    """
    allowed = rights or AllRights()
    sessions = Sessions(link_key, config.authentication.session_hours, config.public_url)
    origins = Origins(config.public_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with backend as opened:
            service, uploads = VideoService(opened, allowed), Uploads(opened.media, allowed)
            app.state.gateway = Gateway(config, service, uploads, authenticator, Links(link_key), sessions, origins)
            yield

    app = _application(lifespan)
    app.add_middleware(
        BodyLimit, most=int(config.max_body_megabytes * MEGABYTE), smaller={session.PATH: session.MOST_BYTES}
    )
    if config.cors_origins:
        # Without credentials: pages of other sites send a token, and never the session's cookie.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.cors_origins,
            allow_methods=CORS_METHODS,
            allow_headers=CORS_HEADERS,
            expose_headers=CORS_EXPOSED,
        )
    return app


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of every route, whatever stands behind."""
    return _application().openapi()


def _application(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    app = FastAPI(
        title="TalkingVideo",
        description="A portrait and a voice go in; a lip-synced talking video comes out.",
        version="1",
        lifespan=lifespan,
    )
    app.include_router(probes.router)
    app.include_router(session.router)
    app.include_router(shared.router)
    app.include_router(page.router)
    add_dialects(app, DIALECTS, otherwise=videos.DIALECT.error)
    describe(app, DIALECTS, otherwise=videos.DIALECT.error)
    return app
