"""Frames into one segment: a closed-GOP H.264 file that others of its video can be joined to without re-encoding."""

from __future__ import annotations

import hashlib
import platform
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.files import whole_file
from talkingvideo_worker.media.ffmpeg import ffmpeg_failures
from talkingvideo_worker.units import FRAME_RATE, Frame

TIME_BASE = Fraction(1, 12_800)
"""Of every video track: 512 ticks a frame, what FFmpeg's mp4 muxer chooses for 25 fps."""

TICKS_PER_FRAME = int(1 / (TIME_BASE * FRAME_RATE))

LONGEST_GOP = 250
"""Frames between key frames at most, so that a player can seek also in a segment longer than a window."""


@dataclass(frozen=True)
class EncoderSettings:
    """How frames are encoded. All segments of one video share one, else they cannot be joined by copy.

    Attributes:
        crf: x264's constant rate factor, 0 (lossless) to 51.
        preset: x264's preset, from ``ultrafast`` to ``veryslow``.
        threads: Encoder threads. Part of the settings, never of the machine: the number changes x264's decisions, and
            the same frames shall be the same bytes on every node.
    """

    crf: int = 18
    preset: str = "veryfast"
    threads: int = 2

    @property
    def digest(self) -> str:
        """Identify settings and encoder: segments with different ones may not fit together in one file."""
        text = f"{self.x264_options} {self.threads} {av.library_versions['libavcodec']}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def x264_options(self) -> dict[str, str]:
        """Options of the encoder.

        ``stitchable`` keeps what depends on a segment's content out of the parameter sets. x264's AVX-512 code was seen
        to make different bytes of the same frames (4 of 50 runs); its SSE4.2 code is as quick, runs on every x86 node,
        and never did (0 of 240).
        """
        parameters = f"stitchable=1:open-gop=0:keyint={LONGEST_GOP}"
        if platform.machine() in {"x86_64", "AMD64"}:
            parameters += ":asm=MMX2,SSE2Fast,SSSE3,SSE4.2"
        return {"preset": self.preset, "crf": str(self.crf), "x264-params": parameters}


class SegmentEncoder:
    """Writes one segment; a context manager.

    Frames go to the encoder as they come: memory depends on the size of the picture, not on the number of frames. The
    file appears under its name, complete and on disk, when the block ends; after an exception it does not.

    Args:
        path: The segment, ``.mp4``.
        width: Pixels, even.
        height: Pixels, even.
        settings: How to encode.

    Raises:
        StageError: E_FFMPEG when the encoder refuses, or when no frame was written.
    """

    def __init__(self, path: Path, width: int, height: int, settings: EncoderSettings | None = None) -> None:
        if width % 2 or height % 2:
            raise StageError(ErrorCode.INTERNAL, f"A segment of {width} x {height} was asked for: sizes are even.")
        self._path = path
        self._shape = (height, width, 3)
        self._settings = settings or EncoderSettings()
        self._resources = ExitStack()
        self.frames = 0
        """Frames written so far."""

    def __enter__(self) -> Self:
        with ExitStack() as opening, ffmpeg_failures("Opening the encoder"):
            unfinished = opening.enter_context(whole_file(self._path))
            self._container = opening.enter_context(av.open(unfinished.absolute().as_posix(), "w", format="mp4"))
            height, width, _ = self._shape
            self._stream = self._container.add_stream("libx264", rate=FRAME_RATE, options=self._settings.x264_options)
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            self._stream.time_base = Fraction(1, FRAME_RATE)
            context = self._stream.codec_context
            context.thread_count = self._settings.threads
            context.color_range = ColorRange.MPEG
            context.colorspace = Colorspace.ITU709
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709
            self._resources = opening.pop_all()
        return self

    def write(self, rgb: Frame) -> None:
        """Encode the next frame.

        Args:
            rgb: (height, width, 3), 0..255.
        """
        if rgb.shape != self._shape:
            raise StageError(ErrorCode.INTERNAL, f"A frame of shape {rgb.shape} came where {self._shape} was expected.")
        with ffmpeg_failures("Encoding"):
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=Interpolation.BILINEAR,
            )
            picture.pts = self.frames
            picture.time_base = Fraction(1, FRAME_RATE)
            self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._resources:
            if error is not None:
                raise error
            if not self.frames:
                raise StageError(ErrorCode.FFMPEG, "A segment without frames was asked for.")
            with ffmpeg_failures("Encoding"):
                self._container.mux(self._stream.encode(None))
