"""Measures how long each part of a window takes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.pipeline import VideoCodec

P = ParamSpec("P")
Result = TypeVar("Result")


class Stopwatch:
    """Wall time by part.

    A GPU still works after a call has returned, so each part waits for it: once per window and part, which costs nothing.

    Args:
        device: On which the parts compute.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Add the time spent inside to a part."""
        started = time.monotonic()
        try:
            yield
            self._wait()
        finally:
            self.seconds[part] += time.monotonic() - started

    def timed(self, part: str, function: Callable[P, Result]) -> Callable[P, Result]:
        """A function that adds the time of its calls to a part."""

        def measured(*args: P.args, **kwargs: P.kwargs) -> Result:
            with self.timing(part):
                return function(*args, **kwargs)

        return measured

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class TimedCodec:
    """A VAE whose calls are timed, as the parts ``encode`` and ``decode``.

    Args:
        codec: The VAE.
        stopwatch: Collects the times.
    """

    def __init__(self, codec: VideoCodec, stopwatch: Stopwatch) -> None:
        self._codec, self._stopwatch = codec, stopwatch

    def encode(self, video: Tensor) -> Tensor:
        """See ``VideoCodec``."""
        with self._stopwatch.timing("encode"):
            return self._codec.encode(video)

    def decode(self, latents: Tensor) -> Tensor:
        """See ``VideoCodec``."""
        with self._stopwatch.timing("decode"):
            return self._codec.decode(latents)
