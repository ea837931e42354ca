"""The wire formats. Each module translates one service's requests and answers, and decides nothing."""

from __future__ import annotations

from talkingvideo_gateway.dialects import generate, generate_video, jobs, runpod, videos
from talkingvideo_gateway.http.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (videos.DIALECT, jobs.DIALECT, generate.DIALECT, generate_video.DIALECT, runpod.DIALECT)
