"""What is finished of a video while the rest is being made, for players that show it meanwhile (Media Source Extensions).

The parts are the files that the chunks are made of, unchanged: nothing here reads or writes media.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from talkingvideo_gateway.dialects.videos import models
from talkingvideo_gateway.dialects.videos.answers import PATH
from talkingvideo_gateway.dialects.videos.documentation import BYTES
from talkingvideo_gateway.dialects.videos.ids import name_of
from talkingvideo_gateway.dialects.videos.routes import VideoId
from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.http.dependencies import CallerOf, CallerRoute, ServiceOf
from talkingvideo_gateway.http.sending import send_file

FRAME_RATE = 25

router = APIRouter(tags=["videos"], prefix=PATH, route_class=CallerRoute)

StartFrame = Annotated[int, Path(ge=0, le=10_000_000, description="Index of the part's first frame.")]


@router.get("/{video_id}/parts")
async def parts(video_id: VideoId, caller: CallerOf, service: ServiceOf) -> models.Parts:
    """What can be watched of a video that is being made. Parts may be finished out of order."""
    found = await service.parts(caller, name_of(video_id))
    base = f"{PATH}/{video_id}/parts"
    listed = [
        models.Part(start_frame=part.start_frame, frames=part.frames, content=f"{base}/{part.start_frame}")
        for part in found.parts
    ]
    return models.Parts(frames=found.frames, frame_rate=FRAME_RATE, sound=f"{base}/sound", data=listed)


@router.get("/{video_id}/parts/sound", response_class=Response, responses=BYTES)
async def sound(video_id: VideoId, request: Request, caller: CallerOf, service: ServiceOf) -> Response:
    """The sound of the whole video: an MP4 file with AAC."""
    found = await service.parts(caller, name_of(video_id))
    return send_file(request, found.sound, "audio/mp4", f"{video_id}.m4a")


@router.get("/{video_id}/parts/{start_frame}", response_class=Response, responses=BYTES)
async def part(
    video_id: VideoId, start_frame: StartFrame, request: Request, caller: CallerOf, service: ServiceOf
) -> Response:
    """A part: an MP4 file with H.264 that begins with a key frame, without sound."""
    found = await service.parts(caller, name_of(video_id))
    wanted = next((each for each in found.parts if each.start_frame == start_frame), None)
    if wanted is None:
        raise NotFoundError("There is no such part, or not yet.")
    return send_file(request, wanted.file, "video/mp4", f"{video_id}-{start_frame}.mp4")
