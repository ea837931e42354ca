"""The finished file: verified before it is published, and its thumbnail."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import cast

import av
import cv2
from av.container import InputContainer
from av.stream import Stream

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.files import atomic_write
from talkingvideo_worker.media.encoder import TICKS_PER_FRAME, TIME_BASE
from talkingvideo_worker.media.ffmpeg import ffmpeg_failures
from talkingvideo_worker.units import FRAME_RATE, Frame

HALF_A_FRAME = 0.5 / FRAME_RATE
"""Seconds by which the length of a track may deviate."""


def verify(path: Path, frames: int, width: int, height: int, sound_seconds: float | None) -> None:
    """Verify a finished file against the plan.

    Every packet is counted; the first and the last group of pictures are decoded.

    Args:
        path: The mp4.
        frames: Exact number of frames.
        width: Pixels.
        height: Pixels.
        sound_seconds: Length of the soundtrack, or None for a silent video.

    Raises:
        StageError: E_FFMPEG; the message names the first difference.
    """
    if top := _boxes_out_of_order(path):
        raise _differs(f"its index does not come first ({top})")
    with ffmpeg_failures("Checking the result"), av.open(path.absolute().as_posix(), format="mp4") as file:
        _expect(
            "tracks",
            sorted(stream.type for stream in file.streams),
            ["audio"] * (sound_seconds is not None) + ["video"],
        )
        picture = file.streams.video[0]
        _expect("codec", picture.codec_context.name, "h264")
        _expect("size", (picture.width, picture.height), (width, height))
        _expect("time base", picture.time_base, TIME_BASE)
        _expect_length("The picture", picture, frames / FRAME_RATE)
        if sound_seconds is not None:
            _expect("codec of the sound", file.streams.audio[0].codec_context.name, "aac")
            _expect_length("The sound", file.streams.audio[0], sound_seconds)
        timing = _timing(file)
        _expect("number of frames", timing.frames, frames)
        _expect("frame rate", picture.average_rate, FRAME_RATE)
        _expect("first frame", timing.earliest, 0)
        _expect("last frame", timing.latest, frames - 1)
        _expect("first key frame", timing.key_frames[0] if timing.key_frames else None, 0)
        _expect_decodable(file, 0, timing.key_frames[1] if len(timing.key_frames) > 1 else frames)
        _expect_decodable(file, timing.key_frames[-1], frames)


@dataclass
class _Timing:
    """Frame numbers, from presentation times."""

    frames: int
    earliest: int
    latest: int
    key_frames: list[int]


def _timing(file: InputContainer) -> _Timing:
    timing = _Timing(frames=0, earliest=1, latest=-1, key_frames=[])
    for packet in file.demux(file.streams.video[0]):
        if packet.pts is None:
            continue
        frame, off = divmod(packet.pts, TICKS_PER_FRAME)
        _expect(f"offset of frame {frame} in ticks", off, 0)
        timing.frames += 1
        timing.earliest = min(timing.earliest, frame)
        timing.latest = max(timing.latest, frame)
        if packet.is_keyframe:
            timing.key_frames.append(frame)
    return timing


def _expect_decodable(file: InputContainer, first: int, end: int) -> None:
    """Decode frames ``first`` (a key frame) up to ``end``, the next key frame or the end of the file."""
    stream = file.streams.video[0]
    file.seek(first * TICKS_PER_FRAME, stream=stream)
    shown = (frame.pts or 0 for frame in file.decode(stream))
    numbers = [pts // TICKS_PER_FRAME for pts in takewhile(lambda pts: pts < end * TICKS_PER_FRAME, shown)]
    _expect(f"frames decoded from frame {first} on", numbers, list(range(first, end)))


def _expect_length(name: str, stream: Stream, seconds: float) -> None:
    if stream.duration is None or stream.time_base is None:
        raise _differs(f"{name.lower()} has no length")
    length = float(stream.duration * stream.time_base)
    if abs(length - seconds) > HALF_A_FRAME:
        raise _differs(f"{name.lower()} lasts {length:.3f} s, not {seconds:.3f} s")
    start = float((stream.start_time or 0) * stream.time_base)
    if abs(start) > 1e-3:
        raise _differs(f"{name.lower()} starts at {start:.3f} s")


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise _differs(f"{what}: {found} instead of {wanted}")


def _differs(how: str) -> StageError:
    return StageError(ErrorCode.FFMPEG, f"The finished file differs from the plan: {how}.")


def _boxes_out_of_order(path: Path) -> str | None:
    """The order of the file's boxes, unless its index (moov) comes before its media data (mdat)."""
    names = list(_top_boxes(path))
    if "moov" in names and "mdat" in names and names.index("moov") < names.index("mdat"):
        return None
    return ", ".join(names) or "no boxes"


def _top_boxes(path: Path) -> Iterator[str]:
    """Types of an mp4's top-level boxes (ISO/IEC 14496-12, 4.2)."""
    with path.open("rb") as file:
        end = path.stat().st_size
        start = 0
        while start + 8 <= end:
            file.seek(start)
            size, name = struct.unpack(">I4s", file.read(8))
            header = 8
            if size == 1:
                size, header = struct.unpack(">Q", file.read(8))[0], 16
            yield name.decode("latin-1")
            if size < header:
                return
            start += size


EARLIEST_SECONDS = 1.0
"""By then the speaker has begun to speak."""

PLAIN = 6.0
"""Standard deviation of brightness (0..255) up to which a frame is plain: black, or of one colour."""

JPEG_QUALITY = 88


def write_thumbnail(video: Path, out_jpg: Path, width: int = 480) -> None:
    """Write a JPEG of an informative frame.

    The candidates are the frame after one second (half way, in a shorter video) and those at the quarters. The first that
    is not plain is chosen; if all are, the least plain.

    Args:
        video: The file.
        out_jpg: Where the picture appears once it is complete.
        width: Pixels; smaller videos are not enlarged. The aspect ratio is kept.

    Raises:
        StageError: E_FFMPEG when no frame can be decoded.
    """
    with ffmpeg_failures("Taking the thumbnail"), av.open(video.absolute().as_posix(), format="mp4") as file:
        picture = _informative_frame(file)
    height = round(picture.shape[0] * width / picture.shape[1])
    if width < picture.shape[1]:
        picture = cast(Frame, cv2.resize(picture, (width, max(1, height)), interpolation=cv2.INTER_AREA))
    done, jpeg = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise StageError(ErrorCode.FFMPEG, "The thumbnail could not be encoded.")
    with atomic_write(out_jpg) as unfinished:
        unfinished.write_bytes(jpeg.tobytes())


def _informative_frame(file: InputContainer) -> Frame:
    stream = file.streams.video[0]
    seconds = float((stream.duration or 0) * (stream.time_base or 0))
    places = [min(EARLIEST_SECONDS, seconds / 2), seconds / 4, seconds / 2, seconds * 3 / 4]
    found = []
    for place in places:
        picture = _frame_at(file, place)
        detail = float(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).std())
        if detail > PLAIN:
            return picture
        found.append((detail, picture))
    return max(found, key=lambda pair: pair[0])[1]


def _frame_at(file: InputContainer, seconds: float) -> Frame:
    """The frame shown at a time, or the last frame."""
    stream = file.streams.video[0]
    file.seek(int(seconds / float(stream.time_base or 1)), stream=stream)
    last = None
    for frame in file.decode(stream):
        last = frame
        if frame.time is not None and frame.time >= seconds - 1e-6:
            break
    if last is None:
        raise StageError(ErrorCode.FFMPEG, "The video has no frame for a thumbnail.")
    return cast(Frame, last.to_ndarray(format="rgb24"))
