"""Reads the portrait and the masks that prepare wrote: a still picture, or the frames of a video.

The step of prepare that wrote them parses untrusted media. A file is therefore opened as the one format that prepare
writes, never as what its content claims to be.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Portrait
from talkingvideo_worker.faces.types import Picture
from talkingvideo_worker.units import FRAME_RATE

CODEC = "h264"
"""Of the video that prepare writes; another decoder is never opened."""

OPTIONS = {"protocol_whitelist": "file", "enable_drefs": "0", "use_absolute_path": "0", "codec_whitelist": CODEC}
"""How it is opened: no other file, no other codec."""

MAX_PIXELS = 4_096 * 4_096
"""Pixels of a picture or frame, far above the model's sizes: a small file may claim a picture of gigabytes."""

PNG_HEADER = struct.Struct(">8sI4sII")
"""Signature, length and name of the first chunk, width, height (ISO/IEC 15948, 5.2 and 11.2.2)."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""First bytes of every PNG file."""


def portrait_frames(portrait: Portrait, start: int) -> Iterator[Picture]:
    """The portrait under each frame of the result, endlessly.

    Args:
        portrait: Picture or video.
        start: Global number of the first frame wanted.

    Yields:
        (height, width, 3), not to be modified. Past the end of a video, its last frame is repeated.
    """
    if not portrait.is_video:
        yield from repeat(load_picture(portrait.path))
    last = None
    for last in decode_frames(portrait.path, start):
        yield last
    if last is None:
        last = _last_frame(portrait.path)
    yield from repeat(last)


def load_mask(path: Path) -> NDArray[np.bool_]:
    """Read a speaker's mask: (height, width), True where the speaker is."""
    return np.asarray(_decode_png(path, cv2.IMREAD_GRAYSCALE) > 0)


def load_picture(path: Path) -> Picture:
    """Read a picture: (height, width, 3)."""
    return np.ascontiguousarray(_decode_png(path, cv2.IMREAD_COLOR)[..., ::-1])


def _decode_png(path: Path, flags: int) -> Picture:
    content = path.read_bytes()
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if _is_bounded_png(content) else None
    if picture is None:
        raise StageError(ErrorCode.WORKSPACE, f"{path.name} is not the PNG picture that prepare wrote.")
    return np.asarray(picture, np.uint8)


def _is_bounded_png(content: bytes) -> bool:
    if len(content) < PNG_HEADER.size:
        return False
    signature, _, name, width, height = PNG_HEADER.unpack_from(content)
    return (signature, name) == (PNG_SIGNATURE, b"IHDR") and 0 < width * height <= MAX_PIXELS


def decode_frames(path: Path, start: int = 0) -> Iterator[Picture]:
    """Decode a constant 25 fps video from frame ``start`` on; memory holds one frame at a time."""
    with _open_mp4(path) as container:
        stream = _picture_stream(container, path)
        if start and stream.time_base:
            container.seek(int(start / FRAME_RATE / stream.time_base), stream=stream)
        origin = (stream.start_time or 0) * (stream.time_base or 0)
        for frame in container.decode(stream):
            if round((float(frame.time or 0) - float(origin)) * FRAME_RATE) >= start:
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _open_mp4(path: Path) -> InputContainer:
    try:
        return av.open(path.absolute().as_posix(), format="mp4", options=OPTIONS)
    except (av.FFmpegError, OSError) as error:
        raise _not_prepared(path) from error


def _picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The only stream of the video that prepare writes: H.264."""
    streams = container.streams
    if [stream.type for stream in streams] != ["video"] or streams.video[0].codec_context.name != CODEC:
        raise _not_prepared(path)
    context = streams.video[0].codec_context
    if context.width * context.height > MAX_PIXELS:
        raise _not_prepared(path)
    context.options = {"max_pixels": str(MAX_PIXELS)}  # frames may claim another size than the file
    context.thread_count = 1
    return streams.video[0]


def _not_prepared(path: Path) -> StageError:
    return StageError(ErrorCode.WORKSPACE, f"{path.name} is not the MP4 video that prepare wrote.")


def _last_frame(path: Path) -> Picture:
    last = None
    with _open_mp4(path) as container:
        stream = _picture_stream(container, path)
        if stream.duration:
            container.seek(stream.duration + (stream.start_time or 0), stream=stream)
        for frame in container.decode(stream):
            last = frame
        if last is None:
            raise StageError(ErrorCode.WORKSPACE, f"The video {path.name} in the workspace holds no frame.")
        return np.asarray(last.to_ndarray(format="rgb24"), np.uint8)
