"""Downloads of whoever has a link."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.http.dependencies import Gateway, GatewayOf
from talkingvideo_gateway.http.links import PATH, Part
from talkingvideo_gateway.http.sending import send_file
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.videos.object import VideoObject

router = APIRouter(tags=["results"])


@router.head(f"{PATH}/{{token}}", include_in_schema=False, response_class=Response)
@router.get(f"{PATH}/{{token}}", response_class=Response)
async def download(token: str, request: Request, gateway: GatewayOf) -> Response:
    """The file that a link is for."""
    namespace, name, uid, part = gateway.links.read(token)
    # The link's signature is the permission: it was made for a caller who might see the video.
    holder = Caller("", namespace, sees_namespace=True)
    video = await gateway.service.get(holder, name)
    if video.uid != uid:
        raise NotFoundError("This link does not work, or not any more.")
    if part is Part.THUMBNAIL:
        return send_file(request, await gateway.service.open_thumbnail(holder, name), "image/jpeg", f"{name}.jpg")
    return send_file(request, await gateway.service.open_result(holder, name), "video/mp4", f"{name}.mp4")


async def result_url(request: Request, gateway: Gateway, video: VideoObject, seconds: int | None = None) -> str:
    """An address of the result that works without credentials for a while: the store's own where it can sign.

    Args:
        request: Its own address is used where the configuration has none.
        gateway: The gateway.
        video: Whose result.
        seconds: How long; as configured where None.
    """
    seconds = seconds or gateway.config.link_seconds
    if link := await gateway.service.result_link(video, seconds, f"{video.name}.mp4"):
        return link
    return _own_url(request, gateway, video, seconds, Part.VIDEO)


async def thumbnail_url(request: Request, gateway: Gateway, video: VideoObject, seconds: int | None = None) -> str:
    """An address of the result's thumbnail; see `result_url`."""
    seconds = seconds or gateway.config.link_seconds
    if link := await gateway.service.thumbnail_link(video, seconds, f"{video.name}.jpg"):
        return link
    return _own_url(request, gateway, video, seconds, Part.THUMBNAIL)


def _own_url(request: Request, gateway: Gateway, video: VideoObject, seconds: int, part: Part) -> str:
    base = gateway.config.public_url or str(request.base_url).rstrip("/")
    return f"{base}{gateway.links.path(video.namespace, video.name, video.uid, seconds, part)}"
