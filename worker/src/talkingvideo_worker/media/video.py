"""Videos from anywhere, as constant 25 frames a second of the rendered size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream
from PIL import Image

from talkingvideo_api.errors import StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.media.encoder import EncoderSettings, SegmentEncoder
from talkingvideo_worker.media.ffmpeg import decode_stream, open_media
from talkingvideo_worker.media.picture import SHORTEST_SIDE, Rgb, fit
from talkingvideo_worker.units import FRAME_RATE

if TYPE_CHECKING:
    from talkingvideo_worker.faces.types import Box

SOURCE_SETTINGS = EncoderSettings(crf=12)
"""Nearly lossless: what is made of the source is encoded once more."""

HIGH_DEFINITION_HEIGHT = 720
"""Pixels: from here on colours without a stated matrix are BT.709, below BT.601, as players assume."""

HDR_CURVES = {16: "HDR (PQ)", 18: "HDR (HLG)"}
"""Transfer characteristics of HDR (ITU-T H.273, table 3)."""

UNSPECIFIED_MATRIX = 2


@dataclass(frozen=True)
class NormalisedVideo:
    """What a video was made of.

    Attributes:
        frames: Frames of the result.
        width_in: Pixels of the source, upright and with square pixels.
        height_in: Pixels.
        seconds_in: Length of the source.
        notes: Sentences about what was found, for the report.
    """

    frames: int
    width_in: int
    height_in: int
    seconds_in: float
    notes: tuple[str, ...]


def normalise_video(
    path: Path, out: Path, width: int, height: int, crop: Box | None, limits: InputLimits, field: str
) -> NormalisedVideo:
    """Turn any video into H.264 of constant 25 frames a second, without sound.

    Frame n of the result is the source's frame whose time is nearest to n / 25 s: frames are never counted, so that
    sources of any, or of varying, rates keep their speed. The source's first frame is time 0, and the last one holds
    for its own duration.

    Args:
        path: Content from anywhere.
        out: The ``.mp4`` to write.
        width: Pixels of the result, even.
        height: Pixels of the result, even.
        crop: Part of the upright picture to keep, in pixels of `first_frame`; all of it when absent.
        limits: ``pixels`` and ``seconds`` are enforced while decoding.
        field: The field that named the file, for errors.

    Raises:
        StageError: E_INPUT_VALIDATION for anything that is not a usable video.
    """
    notes: list[str] = []
    with open_media(path, field) as container, SegmentEncoder(out, width, height, SOURCE_SETTINGS) as encoder:
        stream = _stream(container, field)
        shots = _shots(container, stream, limits, notes, field)
        size: tuple[int, int] | None = None
        end = Fraction(0)
        for frame, repeats, end in _at_constant_rate(shots, limits.seconds):  # noqa: B007 end is used after the loop
            if not repeats:
                continue
            rgb = _upright(frame, stream)
            size = size or (rgb.shape[1], rgb.shape[0])
            scaled = fit(_of_size(rgb, size), crop, width, height)
            for _ in range(repeats):
                encoder.write(scaled)
        if size is None:
            raise StageError.invalid("The file has a video stream, but no picture in it.", field)
    return NormalisedVideo(encoder.frames, *size, float(end), tuple(notes))


def first_frame(path: Path, limits: InputLimits, field: str) -> Rgb:
    """The first picture of a video: upright, with square pixels.

    Raises:
        StageError: E_INPUT_VALIDATION.
    """
    with open_media(path, field) as container:
        stream = _stream(container, field)
        for shot in _shots(container, stream, limits, [], field):
            return _upright(shot.frame, stream)
    raise StageError.invalid("The file has a video stream, but no picture in it.", field)


class _Shot(NamedTuple):
    """A frame of the source and the time from which on it is shown, in seconds from the first one."""

    frame: VideoFrame
    time: Fraction


def _stream(container: InputContainer, field: str) -> VideoStream:
    """The first stream of moving pictures; a cover picture is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    raise StageError.invalid("The file has no video stream.", field)


def _shots(
    container: InputContainer, stream: VideoStream, limits: InputLimits, notes: list[str], field: str
) -> Iterator[_Shot]:
    """Frames in order of their times. One without a time follows its predecessor at the stream's rate."""
    step = 1 / (stream.guessed_rate or stream.average_rate or Fraction(FRAME_RATE))
    origin: Fraction | None = None
    time = -step
    _check_size(stream.codec_context.width, stream.codec_context.height, limits, field)
    for frame in decode_stream(container, stream, notes, field):
        _check_size(frame.width, frame.height, limits, field)
        stated = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if origin is None:
            origin = stated or Fraction(0)
            if frame.color_trc in HDR_CURVES:
                notes.append(f"The video is {HDR_CURVES[frame.color_trc]}; its colours will look paler.")
        following = time + step if stated is None else stated - origin
        if following <= time:  # A clock that stands or runs backwards.
            continue
        time = following
        if time > limits.seconds:
            raise StageError.invalid(f"The video is longer than the limit of {limits.seconds:g} seconds.", field)
        yield _Shot(frame, time)


def _at_constant_rate(shots: Iterator[_Shot], longest: float) -> Iterator[tuple[VideoFrame, int, Fraction]]:
    """How many frames of the result each frame of the source becomes, and the time up to which it is shown."""
    made = 0
    previous: _Shot | None = None
    length = Fraction(1, FRAME_RATE)
    for shot in shots:
        if previous is not None:
            length = shot.time - previous.time
            upto = _frames_before((previous.time + shot.time) / 2)
            yield previous.frame, upto - made, shot.time
            made = upto
        previous = shot
    if previous is None:
        return
    if previous.frame.duration and previous.frame.time_base:
        length = min(previous.frame.duration * previous.frame.time_base, Fraction(longest))
    end = previous.time + length
    yield previous.frame, max(int(end * FRAME_RATE + Fraction(1, 2)), made, 1) - made, end


def _frames_before(time: Fraction) -> int:
    """How many of the result's frames are shown before a time, or just at it."""
    return int(time * FRAME_RATE) + 1


def _upright(frame: VideoFrame, stream: VideoStream) -> Rgb:
    """A frame as people see it: turned, with square pixels, full-range sRGB."""
    aspect = stream.codec_context.sample_aspect_ratio or Fraction(1)
    width, height = frame.width, frame.height
    if aspect > 1:
        width = round(width * aspect)
    elif 0 < aspect < 1:
        height = round(height / aspect)
    rgb = frame.reformat(
        width,
        height,
        "rgb24",
        src_colorspace=_matrix(frame),
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND,
    ).to_ndarray()
    return _turned(np.asarray(rgb, np.uint8), frame)


def _matrix(frame: VideoFrame) -> int:
    if frame.colorspace not in {UNSPECIFIED_MATRIX, 0}:
        return frame.colorspace
    return Colorspace.ITU709 if frame.height >= HIGH_DEFINITION_HEIGHT else Colorspace.ITU601


def _turned(rgb: Rgb, frame: VideoFrame) -> Rgb:
    """Apply the display matrix that phones write instead of turning the picture (ISO/IEC 14496-12, 6.2.2).

    Of its 3 x 3 numbers the upper left 2 x 2 turn and mirror; anything but quarter turns is left alone.
    """
    side_data = cast(Mapping[str, Buffer], frame.side_data).get("DISPLAYMATRIX")
    if side_data is None:
        return rgb
    matrix = np.frombuffer(bytes(side_data), "<i4").reshape(3, 3)
    a, b, c, d = (int(number) for number in matrix[:2, :2].ravel())
    if a == d == 0 and b and c:
        rgb, a, d = np.swapaxes(rgb, 0, 1), c, b
    elif b or c or not a or not d:
        return rgb
    return np.ascontiguousarray(rgb[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1])


def _of_size(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    """A frame of the first frame's size, also where a stream changes its own."""
    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def _check_size(width: int, height: int, limits: InputLimits, field: str) -> None:
    if width * height > limits.pixels:
        raise StageError.invalid(
            f"The video is {width} x {height}; the limit is {limits.pixels / 1e6:g} megapixels.", field
        )
    if min(width, height) < SHORTEST_SIDE:
        raise StageError.invalid(
            f"The video is {width} x {height}; it needs at least {SHORTEST_SIDE} pixels each way.", field
        )
