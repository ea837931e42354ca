"""Follows one object until its video has ended, through broken connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from talkingvideo_cli.exits import CommandError, ExitStatus
from talkingvideo_cli.view import VideoView
from talkingvideo_clients.kube.api import VIDEOS, Api, ApiError

Body = dict[str, Any]

PAUSES = (1, 2, 4, 8, 15, 30, 30, 30)
"""Seconds before each further attempt when the API server does not answer, or not now."""


async def ended(
    api: Api, namespace: str, name: str, show: Callable[[VideoView], None], timeout: float | None = None
) -> Body:
    """Wait until a video has ended.

    Args:
        api: The API.
        namespace: Its namespace.
        name: Its name.
        show: Called with each state.
        timeout: Most seconds to wait; no limit when absent.

    Returns:
        The object.

    Raises:
        ApiError: The object does not exist any more, or the API server refuses or is not reached for two minutes.
        CommandError: It has not ended in time.
    """
    try:
        async with asyncio.timeout(timeout), aclosing(states(api, namespace, name)) as bodies:
            async for body in bodies:
                view = VideoView.of(body)
                show(view)
                if view.outcome is not None:
                    return body
    except TimeoutError as error:
        raise CommandError(
            ExitStatus.UNFINISHED, f"{name} has not ended within {timeout:g} seconds; it goes on"
        ) from error
    raise AssertionError("states() ends with an error only")


async def states(api: Api, namespace: str, name: str) -> AsyncGenerator[Body]:
    """The present state of an object, then each later one, until it is deleted.

    Where watches break off at once, as behind some proxies, it is read every second. A server that has never answered is not
    waited for.

    Raises:
        ApiError: It does not exist (any more), or the API server refuses or is not reached for two minutes.
    """
    failures = len(PAUSES)
    while True:
        try:
            body = await api.get(VIDEOS, namespace, name)
            failures = 0
            yield body
            version = body["metadata"]["resourceVersion"]
            async with aclosing(api.watch(VIDEOS, namespace, name, version)) as events:
                async for event in events:
                    if event["type"] in ("DELETED", "ERROR"):
                        break
                    yield event["object"]
        except ApiError as error:
            if not _may_pass(error) or failures == len(PAUSES):
                raise
            await asyncio.sleep(PAUSES[failures])
            failures += 1


def _may_pass(error: ApiError) -> bool:
    return (
        error.status in (0, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.GONE)
        or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    )
