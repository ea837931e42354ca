"""The application: routes of all dialects over one service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import Lifespan

from talkingvideo_gateway.dialects import DIALECTS, videos
from talkingvideo_gateway.http import probes, shared
from talkingvideo_gateway.http.dependencies import Gateway
from talkingvideo_gateway.http.dialect import add_dialects
from talkingvideo_gateway.http.limits import BodyLimit
from talkingvideo_gateway.http.links import Links
from talkingvideo_gateway.http.openapi import describe
from talkingvideo_gateway.identity.caller import MEGABYTE, Authenticator
from talkingvideo_gateway.page import routes as page
from talkingvideo_gateway.settings import GatewayConfig
from talkingvideo_gateway.videos.backend import Backend
from talkingvideo_gateway.videos.service import VideoService
from talkingvideo_gateway.videos.uploads import Uploads


def create_app(
    config: GatewayConfig,
    backend: AbstractAsyncContextManager[Backend],
    authenticator: Authenticator,
    link_key: str,
) -> FastAPI:
    """Make the application.

    Args:
        config: The configuration.
        backend: What stands behind; opened when the application starts, closed when it ends.
        authenticator: Tells callers apart.
        link_key: Secret that signs links; replicas share it.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with backend as opened:
            uploads = Uploads(opened.media)
            app.state.gateway = Gateway(config, VideoService(opened), uploads, authenticator, Links(link_key))
            yield

    app = _application(lifespan)
    app.add_middleware(BodyLimit, most=int(config.max_body_megabytes * MEGABYTE))
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
    app.include_router(shared.router)
    app.include_router(page.router)
    add_dialects(app, DIALECTS, otherwise=videos.DIALECT.error)
    describe(app, DIALECTS, otherwise=videos.DIALECT.error)
    return app
