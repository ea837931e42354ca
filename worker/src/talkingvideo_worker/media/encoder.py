"""Encodes frames into a segment: a closed-GOP H.264 file that is joined to others without encoding them again."""

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
from talkingvideo_worker.files import atomic_write
from talkingvideo_worker.media.ffmpeg import ffmpeg_failures
from talkingvideo_worker.units import FRAME_RATE, Frame

TIME_BASE = Fraction(1, 12_800)
"""Of every video track: 512 ticks per frame, as FFmpeg's mp4 muxer chooses for 25 fps."""

TICKS_PER_FRAME = int(1 / (TIME_BASE * FRAME_RATE))

MAX_GOP = 250
"""Most frames between key frames, so that players can seek within segments longer than a window."""


@dataclass(frozen=True)
class EncoderSettings:
    """How frames are encoded. All segments of a video need the same settings to be joined by stream copy.

    Attributes:
        crf: x264's constant rate factor, 0 (lossless) to 51.
        preset: x264's preset, from ``ultrafast`` to ``veryslow``.
        threads: Encoder threads. A setting, not a property of the machine: the number changes x264's decisions, and the
            same frames must become the same bytes on every node.
    """

    crf: int = 18
    preset: str = "veryfast"
    threads: int = 2

    @property
    def digest(self) -> str:
        """Identifies settings and encoder: segments with different digests may not fit into one file."""
        text = f"{self.x264_options} {self.threads} {av.library_versions['libavcodec']}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def x264_options(self) -> dict[str, str]:
        """Options of the encoder.

        ``stitchable`` keeps the parameter sets independent of a segment's content. x264's AVX-512 code was observed to
        encode the same frames into different bytes (4 of 50 runs); its SSE4.2 code never did (0 of 240), is as fast, and
        runs on every x86 node.
        """
        parameters = f"stitchable=1:open-gop=0:keyint={MAX_GOP}"
        if platform.machine() in {"x86_64", "AMD64"}:
            parameters += ":asm=MMX2,SSE2Fast,SSSE3,SSE4.2"
        return {"preset": self.preset, "crf": str(self.crf), "x264-params": parameters}


class SegmentEncoder:
    """Writes one segment; a context manager.

    Frames are encoded as they are written: memory depends on the frame size, not on the number of frames. The file
    appears under its name, complete and on disk, when the block ends; after an exception it does not appear.

    Args:
        path: The segment, ``.mp4``.
        width: Pixels, even.
        height: Pixels, even.
        settings: How to encode.

    Raises:
        StageError: E_FFMPEG when the encoder fails or no frame was written.
    """

    def __init__(self, path: Path, width: int, height: int, settings: EncoderSettings | None = None) -> None:
        if width % 2 or height % 2:
            raise StageError(
                ErrorCode.INTERNAL, f"A segment of {width} x {height} was requested: both sizes must be even."
            )
        self._path = path
        self._shape = (height, width, 3)
        self._settings = settings or EncoderSettings()
        self._resources = ExitStack()
        self.frames = 0
        """Frames written so far."""

    def __enter__(self) -> Self:
        with ExitStack() as opening, ffmpeg_failures("Opening the encoder"):
            unfinished = opening.enter_context(atomic_write(self._path))
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
            raise StageError(ErrorCode.INTERNAL, f"A frame has the shape {rgb.shape}; the segment needs {self._shape}.")
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
                raise StageError(ErrorCode.FFMPEG, "A segment without frames was requested.")
            with ffmpeg_failures("Encoding"):
                self._container.mux(self._stream.encode(None))
