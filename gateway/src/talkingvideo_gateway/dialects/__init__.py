"""The wire formats. Each module translates one service's requests and answers, and decides nothing."""

from __future__ import annotations

from talkingvideo_gateway.dialects import jobs, videos
from talkingvideo_gateway.http.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (videos.DIALECT, jobs.DIALECT)
