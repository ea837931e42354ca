"""A still of a finished video."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import av
import cv2
from av.container import InputContainer

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.files import whole_file
from talkingvideo_worker.media.ffmpeg import ffmpeg_failures
from talkingvideo_worker.units import Frame

EARLIEST_SECONDS = 1.0
"""A second in, a speaker has begun to speak."""

PLAIN = 6.0
"""Standard deviation of brightness (0..255) up to which a picture shows nothing: black, or one colour."""

JPEG_QUALITY = 88


def thumbnail(video: Path, out_jpg: Path, width: int = 480) -> None:
    """Write a JPEG of a frame that shows something.

    It is the frame a second in (half way, in a shorter video), or the first of those at the quarters that is not plain;
    if all are, the least plain.

    Args:
        video: The file.
        out_jpg: Where the picture appears once it is complete.
        width: Pixels; a smaller video is not enlarged. The shape is kept.

    Raises:
        StageError: E_FFMPEG when nothing can be decoded.
    """
    with ffmpeg_failures("Taking the thumbnail"), av.open(video.absolute().as_posix(), format="mp4") as file:
        picture = _telling_frame(file)
    height = round(picture.shape[0] * width / picture.shape[1])
    if width < picture.shape[1]:
        picture = cast(Frame, cv2.resize(picture, (width, max(1, height)), interpolation=cv2.INTER_AREA))
    done, jpeg = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise StageError(ErrorCode.FFMPEG, "The thumbnail could not be encoded.")
    with whole_file(out_jpg) as unfinished:
        unfinished.write_bytes(jpeg.tobytes())


def _telling_frame(file: InputContainer) -> Frame:
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
    """The frame shown at a time, or the last one."""
    stream = file.streams.video[0]
    file.seek(int(seconds / float(stream.time_base or 1)), stream=stream)
    last = None
    for frame in file.decode(stream):
        last = frame
        if frame.time is not None and frame.time >= seconds - 1e-6:
            break
    if last is None:
        raise StageError(ErrorCode.FFMPEG, "The video has no picture to make a thumbnail of.")
    return cast(Frame, last.to_ndarray(format="rgb24"))
