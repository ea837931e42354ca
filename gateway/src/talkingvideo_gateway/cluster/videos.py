"""The objects of a cluster: written to the API server, read from the cache."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from talkingvideo_clients.kube.api import VIDEOS, Api, ApiError, Body
from talkingvideo_gateway.cluster.cache import VideoCache
from talkingvideo_gateway.cluster.missing import MissingNames
from talkingvideo_gateway.cluster.refusals import refusal
from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.videos.backend import VideoChange
from talkingvideo_gateway.videos.object import VideoObject


class ClusterVideos:
    """Implements `Videos`.

    Args:
        api: The API server.
        cache: Kept by watches of the namespaces that are served.
        missing: Names that no video has.
    """

    def __init__(self, api: Api, cache: VideoCache, missing: MissingNames) -> None:
        self._api = api
        self._cache = cache
        self._missing = missing

    async def create(self, namespace: str, document: dict[str, Any]) -> VideoObject:
        """See `Videos`."""
        try:
            return self._cache.written(await self._api.create(VIDEOS, namespace, document))
        except ApiError as error:
            raise refusal(error) from error

    async def get(self, namespace: str, name: str) -> VideoObject | None:
        """See `Videos`. A name that the cache lacks is asked for once: another gateway may have just created the video."""
        known = self._cache.get(namespace, name)
        if known is not None or not self._missing.is_worth_asking(namespace, name):
            return known
        body = await self._ask(namespace, name)
        if body is None:
            self._missing.note(namespace, name)
            return None
        return self._cache.written(body)

    async def read(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """See `Videos`."""
        return await self._ask(namespace, name)

    async def list(self, namespace: str, caller: str | None = None) -> Sequence[VideoObject]:
        """See `Videos`."""
        return await self._cache.list(namespace, caller)

    def watch(self, namespace: str) -> AsyncIterator[VideoChange]:
        """See `Videos`."""
        return self._cache.watch(namespace)

    async def patch(self, namespace: str, name: str, patch: dict[str, Any]) -> VideoObject:
        """See `Videos`."""
        try:
            return self._cache.written(await self._api.merge_patch(VIDEOS, namespace, name, patch))
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise NotFoundError("There is no video of that id.") from error
            raise refusal(error) from error

    async def delete(self, namespace: str, name: str) -> None:
        """See `Videos`."""
        video = await self.get(namespace, name)
        if video is None:
            return
        try:
            await self._api.delete(VIDEOS, namespace, name, video.uid)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise refusal(error) from error
        self._cache.deleted(video)
        self._missing.note(namespace, name)

    async def _ask(self, namespace: str, name: str) -> Body | None:
        try:
            return await self._api.get(VIDEOS, namespace, name)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise refusal(error) from error
