"""The application: routes of all dialects over one service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from talkingvideo_gateway.dialects import DIALECTS, native
from talkingvideo_gateway.http import probes, session, shared
from talkingvideo_gateway.http.dependencies import Gateway
from talkingvideo_gateway.http.dialect import add_dialects
from talkingvideo_gateway.http.links import Links
from talkingvideo_gateway.identity.caller import MEGABYTE, Authenticator, Rights
from talkingvideo_gateway.identity.origins import Origins
from talkingvideo_gateway.identity.session import Sessions
from talkingvideo_gateway.settings import GatewayConfig
from talkingvideo_gateway.videos.backend import Backend
from talkingvideo_gateway.videos.service import VideoService

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
    sessions = Sessions(link_key, config.authentication.session_hours, config.public_url)
    origins = Origins(config.public_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with backend as opened:
            service = VideoService(opened, rights)
            app.state.gateway = Gateway(config, service, authenticator, Links(link_key), sessions, origins)
            yield

    app = FastAPI(
        title="TalkingVideo",
        description="A portrait and a voice go in; a lip-synced talking video comes out.",
        lifespan=lifespan,
        max_body_size=int(config.max_body_megabytes * MEGABYTE),
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
    app.include_router(probes.router)
    app.include_router(session.router)
    app.include_router(shared.router)
    add_dialects(app, DIALECTS, otherwise=native.error)
    return app
