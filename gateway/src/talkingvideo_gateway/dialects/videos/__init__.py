"""``/v1/videos``: the native API, a superset of OpenAI's Videos API and of vLLM-Omni's."""

from __future__ import annotations

from fastapi import APIRouter

from talkingvideo_gateway.dialects.videos import events, parts, routes, uploads, waiting
from talkingvideo_gateway.dialects.videos.answers import PATH
from talkingvideo_gateway.dialects.videos.errors import error
from talkingvideo_gateway.dialects.videos.translation import NAME
from talkingvideo_gateway.http.dialect import Dialect

router = APIRouter()
for part in (waiting, routes, parts, events, uploads):
    router.include_router(part.router)

DIALECT = Dialect(NAME, (PATH, waiting.PLAN_PATH, events.EVENTS_PATH, uploads.PATH), router, error)
