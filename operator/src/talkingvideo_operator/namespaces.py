"""Reads the namespaces of videos, one by one and only when they are needed."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from talkingvideo_clients.kube.api import NAMESPACES, Api, ApiError
from talkingvideo_operator.planning.namespaces import Namespace

logger = logging.getLogger(__name__)

FRESH_SECONDS = 60
"""A namespace that was read within this time is not read again."""


class NamespaceReader:
    """Reads Namespace objects with the verb ``get`` alone: no list and no watch, which would show all of them."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[str, tuple[float, Namespace]] = {}
        self._refused = False

    async def read(self, name: str) -> Namespace:
        """A namespace as it was at most a minute ago; one without labels and annotations where it may not be read.

        Raises:
            ApiError: It could not be read for another reason.
        """
        expires, known = self._known.get(name, (0.0, None))
        if known is not None and time.monotonic() < expires:
            return known
        namespace = await self._get(name)
        if namespace.problems and (known is None or known.problems != namespace.problems):
            logger.warning("namespace %s: %s", name, "; ".join(namespace.problems))
        self._known[name] = (time.monotonic() + FRESH_SECONDS, namespace)
        return namespace

    async def _get(self, name: str) -> Namespace:
        try:
            return Namespace.of(await self._api.get(NAMESPACES, None, name))
        except ApiError as error:
            if error.status == HTTPStatus.FORBIDDEN:
                self._warn_once(error)
            elif error.status != HTTPStatus.NOT_FOUND:
                raise
            return Namespace()

    def _warn_once(self, error: ApiError) -> None:
        if not self._refused:
            logger.warning(
                "namespaces count as without labels and annotations, because they may not be read: %s", error.message
            )
        self._refused = True
