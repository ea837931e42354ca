"""Downloads of whoever has a link."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.http.dependencies import Gateway, GatewayOf
from talkingvideo_gateway.http.links import PATH
from talkingvideo_gateway.http.sending import send_file
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.videos.object import VideoObject

router = APIRouter(tags=["results"])


@router.head(f"{PATH}/{{token}}", include_in_schema=False, response_class=Response)
@router.get(f"{PATH}/{{token}}", response_class=Response)
async def download(token: str, request: Request, gateway: GatewayOf) -> Response:
    """The result that a link is for."""
    namespace, name, uid = gateway.links.read(token)
    # The link's signature is the permission: it was made for a caller who might see the video.
    holder = Caller("", namespace, sees_namespace=True)
    video = await gateway.service.get(holder, name)
    if video.uid != uid:
        raise NotFoundError("This link does not work, or not any more.")
    file = await gateway.service.open_result(holder, name)
    return send_file(request, file, "video/mp4", f"{name}.mp4")


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
    base = gateway.config.public_url or str(request.base_url).rstrip("/")
    return f"{base}{gateway.links.path(video.namespace, video.name, video.uid, seconds)}"
