"""``/v1/videos``: the native API, a superset of OpenAI's Videos API and of vLLM-Omni's."""

from __future__ import annotations

from talkingvideo_gateway.dialects.videos.answers import PATH
from talkingvideo_gateway.dialects.videos.errors import error
from talkingvideo_gateway.dialects.videos.routes import router
from talkingvideo_gateway.dialects.videos.translation import NAME
from talkingvideo_gateway.http.dialect import Dialect

DIALECT = Dialect(NAME, (PATH,), router, error)
