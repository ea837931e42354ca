"""Videos from anywhere, normalised to constant 25 fps and the rendered size."""

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
from talkingvideo_worker.media.ffmpeg import decode_stream, open_media, require_decoder
from talkingvideo_worker.media.picture import MIN_SIDE, Rgb, check_aspect, fit
from talkingvideo_worker.units import FRAME_RATE

if TYPE_CHECKING:
    from talkingvideo_worker.faces.types import Box

SOURCE_SETTINGS = EncoderSettings(crf=12)
"""Nearly lossless: the frames drawn over this video are encoded again."""

MAX_FRAME_PIXELS = 35_651_584
"""Pixels of a frame (8192 x 4352): the most that any level of H.264, HEVC and AV1 allows. A decoder keeps many of them."""

ONE_THREAD_PIXELS = 16_000_000
"""Pixels of a frame from which frames are decoded one after another: each thread needs memory for pictures of its own."""

HIGH_DEFINITION_HEIGHT = 720
"""Pixels: colours without a stated matrix are BT.709 from this height on and BT.601 below, as players assume."""

HDR_CURVES = {16: "HDR (PQ)", 18: "HDR (HLG)"}
"""Transfer characteristics of HDR (ITU-T H.273, table 3)."""

UNSPECIFIED_MATRIX = 2


@dataclass(frozen=True)
class NormalisedVideo:
    """A normalised video.

    Attributes:
        frames: Frames of the result.
        warnings: Sentences about the source, for the report.
    """

    frames: int
    warnings: tuple[str, ...]


def normalise_video(
    path: Path,
    out: Path,
    width: int,
    height: int,
    crop: Box | None,
    limits: InputLimits,
    field: str,
    most: int | None = None,
) -> NormalisedVideo:
    """Convert any video to H.264 of constant 25 fps, without sound.

    Frame n of the result is the source's frame whose time is nearest to n / 25 s. Times decide, not frame numbers, so that
    sources of any frame rate, also variable ones, keep their speed. The source's first frame is at time 0, and its last
    one is held for its own duration.

    Args:
        path: Untrusted content.
        out: The ``.mp4`` to write.
        width: Pixels of the result, even.
        height: Pixels of the result, even.
        crop: Crop box of the upright picture, in pixels of `first_frame`; the whole picture when None.
        limits: ``pixels`` and ``seconds`` are enforced while decoding.
        field: The field that named the file, for errors.
        most: Frames of the result after which the rest of the source is not read; all when None.

    Raises:
        StageError: E_INPUT_VALIDATION when the file contains no usable video.
    """
    warnings: list[str] = []
    with open_media(path, field) as container, SegmentEncoder(out, width, height, SOURCE_SETTINGS) as encoder:
        stream = _stream(container, field)
        frames = _timed_frames(container, stream, limits, warnings, field)
        size: tuple[int, int] | None = None
        turn = UNTURNED
        for frame, repeats in _at_constant_rate(frames, limits.seconds):
            if not repeats:
                continue
            turn = turn if size else _turn_of(frame)
            rgb = _upright(frame, stream, turn)
            size = size or (rgb.shape[1], rgb.shape[0])
            scaled = fit(_of_size(rgb, size), crop, width, height)
            for _ in range(repeats if most is None else min(repeats, most - encoder.frames)):
                encoder.write(scaled)
            if encoder.frames == most:
                break
        if size is None:
            raise StageError.invalid("The file has a video stream without any frame.", field)
    return NormalisedVideo(encoder.frames, tuple(warnings))


def first_frame(path: Path, limits: InputLimits, field: str) -> Rgb:
    """The first frame of a video: upright, with square pixels.

    Raises:
        StageError: E_INPUT_VALIDATION.
    """
    with open_media(path, field) as container:
        stream = _stream(container, field)
        for timed in _timed_frames(container, stream, limits, [], field):
            return _upright(timed.frame, stream, _turn_of(timed.frame))
    raise StageError.invalid("The file has a video stream without any frame.", field)


class _TimedFrame(NamedTuple):
    """A frame of the source and its presentation time, in seconds after the first one."""

    frame: VideoFrame
    time: Fraction


def _stream(container: InputContainer, field: str) -> VideoStream:
    """The first video stream; cover pictures do not count."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            require_decoder(stream, field)
            large = stream.codec_context.width * stream.codec_context.height > ONE_THREAD_PIXELS
            stream.thread_type = "SLICE" if large else "AUTO"
            return stream
    raise StageError.invalid("The file has no video stream.", field)


def _timed_frames(
    container: InputContainer, stream: VideoStream, limits: InputLimits, warnings: list[str], field: str
) -> Iterator[_TimedFrame]:
    """Frames in order of their times. A frame without a time follows its predecessor at the stream's rate."""
    step = 1 / (stream.guessed_rate or stream.average_rate or Fraction(FRAME_RATE))
    origin: Fraction | None = None
    time = -step

    def seconds() -> float:
        return float(time)

    _check_size(stream.codec_context.width, stream.codec_context.height, limits, field)
    for frame in decode_stream(container, stream, warnings, field, seconds):
        _check_size(frame.width, frame.height, limits, field)
        _check_size(*_shown_size(frame, stream), limits, field)
        stated = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if origin is None:
            origin = stated or Fraction(0)
            if frame.color_trc in HDR_CURVES:
                warnings.append(f"The video is {HDR_CURVES[frame.color_trc]}; its colours will look pale.")
        following = time + step if stated is None else stated - origin
        if following <= time:  # A clock that stops or runs backwards.
            continue
        time = following
        if time > limits.seconds:
            raise StageError.invalid(f"The video is longer than the limit of {limits.seconds:g} seconds.", field)
        yield _TimedFrame(frame, time)


def _at_constant_rate(frames: Iterator[_TimedFrame], longest: float) -> Iterator[tuple[VideoFrame, int]]:
    """For each frame of the source, the number of frames of the result that it becomes."""
    made = 0
    previous: _TimedFrame | None = None
    length = Fraction(1, FRAME_RATE)
    for timed in frames:
        if previous is not None:
            length = timed.time - previous.time
            upto = _frames_before((previous.time + timed.time) / 2)
            yield previous.frame, upto - made
            made = upto
        previous = timed
    if previous is None:
        return
    if previous.frame.duration and previous.frame.time_base:
        length = min(previous.frame.duration * previous.frame.time_base, Fraction(longest))
    end = previous.time + length
    yield previous.frame, max(int(end * FRAME_RATE + Fraction(1, 2)), made, 1) - made


def _frames_before(time: Fraction) -> int:
    """Number of the result's frames whose times are not after a time."""
    return int(time * FRAME_RATE) + 1


def _upright(frame: VideoFrame, stream: VideoStream, turn: _Turn) -> Rgb:
    """A frame as players show it: rotated, with square pixels, full-range sRGB."""
    width, height = _shown_size(frame, stream)
    rgb = frame.reformat(
        width,
        height,
        "rgb24",
        src_colorspace=_matrix(frame),
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND,
    ).to_ndarray()
    return _turned(np.asarray(rgb, np.uint8), turn)


def _shown_size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Width and height with square pixels, before the frame is turned upright."""
    aspect = stream.codec_context.sample_aspect_ratio or Fraction(1)
    if aspect > 1:
        return round(frame.width * aspect), frame.height
    if 0 < aspect < 1:
        return frame.width, round(frame.height / aspect)
    return frame.width, frame.height


def _matrix(frame: VideoFrame) -> int:
    if frame.colorspace not in {UNSPECIFIED_MATRIX, 0}:
        return frame.colorspace
    return Colorspace.ITU709 if frame.height >= HIGH_DEFINITION_HEIGHT else Colorspace.ITU601


_Turn = tuple[int, int, int, int]
"""The upper left 2 x 2 numbers of a display matrix, which rotate and mirror, row by row."""

UNTURNED: _Turn = (1, 0, 0, 1)


def _turn_of(frame: VideoFrame) -> _Turn:
    """The display matrix of a frame, which phones write instead of rotating the picture (ISO/IEC 14496-12, 6.2.2).

    Only the first frame of a video is asked: one whose side data was read is freed by the garbage collector alone, and a few
    hundred of 4K fill the memory before that runs.
    """
    side_data = cast(Mapping[str, Buffer], frame.side_data).get("DISPLAYMATRIX")
    if side_data is None:
        return UNTURNED
    a, b, c, d = (int(number) for number in np.frombuffer(bytes(side_data), "<i4").reshape(3, 3)[:2, :2].ravel())
    return a, b, c, d


def _turned(rgb: Rgb, turn: _Turn) -> Rgb:
    """Apply a display matrix; anything but quarter turns is ignored."""
    a, b, c, d = turn
    if a == d == 0 and b and c:
        rgb, a, d = np.swapaxes(rgb, 0, 1), c, b
    elif b or c or not a or not d:
        return rgb
    return np.ascontiguousarray(rgb[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1])


def _of_size(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    """Scale a frame to the first frame's size, in case the stream changes its size."""
    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def _check_size(width: int, height: int, limits: InputLimits, field: str) -> None:
    most = min(limits.pixels, MAX_FRAME_PIXELS)
    if width * height > most:
        raise StageError.invalid(f"The video is {width} x {height}; the limit is {most / 1e6:g} megapixels.", field)
    if min(width, height) < MIN_SIDE:
        raise StageError.invalid(
            f"The video is {width} x {height}; it needs at least {MIN_SIDE} pixels each way.", field
        )
    check_aspect("video", width, height, field)
