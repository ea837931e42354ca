"""The one place that opens strangers' sound and video.

FFmpeg gets an open file and the demuxer that our own look at the content chose: there is no path that it could resolve,
no format that it could guess, and every attempt to open something else ends the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from talkingvideo_api.errors import StageError
from talkingvideo_worker.media.sniff import sniff

MOST_STREAMS = 64

SOUND_CODECS = frozenset(
    """
    aac aac_latm ac3 alac amrnb amrwb eac3 flac gsm gsm_ms libopencore_amrnb libopencore_amrwb mp1float mp2 mp2float mp3
    mp3float opus libopus pcm_alaw pcm_bluray pcm_dvd pcm_f32be pcm_f32le pcm_f64be pcm_f64le pcm_mulaw pcm_s16be
    pcm_s16le pcm_s24be pcm_s24le pcm_s32be pcm_s32le pcm_s8 pcm_u8 pcm_u16be pcm_u16le adpcm_ima_qt adpcm_ima_wav
    adpcm_ms vorbis wavpack wmalossless wmapro wmav1 wmav2 wmavoice
    """.split()  # noqa: SIM905 one line each would be a page
)
PICTURE_CODECS = frozenset(
    """
    av1 dnxhd ffv1 flv h263 h264 hevc huffyuv libdav1d mjpeg mpeg1video mpeg2video mpeg4 msmpeg4 msmpeg4v2 prores
    rawvideo theora vc1 libvpx libvpx-vp9 vp8 vp9 wmv1 wmv2 wmv3
    """.split()  # noqa: SIM905
)
"""Decoders that people's recordings need. FFmpeg has six hundred more, many of them for games of the nineties."""

DAMAGE_TOLERATED = 0.05
"""Part of the packets that may be damaged."""


class OtherFileError(Exception):
    """A file asked for another file to be opened."""


@contextmanager
def open_media(path: Path, field: str) -> Iterator[InputContainer]:
    """Open a sound or video file.

    Args:
        path: Content from anywhere.
        field: The field that named it, for errors.

    Yields:
        The open container.

    Raises:
        StageError: E_INPUT_VALIDATION, naming what the file is when it is neither sound nor video, and for whatever FFmpeg
            finds wrong with it, also within the block.
    """
    kind = sniff(path)
    if kind.demuxer is None:
        raise StageError.invalid(f"The file is {kind.label}; a sound or video file is needed.", field)
    options = {
        "protocol_whitelist": "none",
        "codec_whitelist": ",".join(sorted(SOUND_CODECS | PICTURE_CODECS)),
        "max_streams": str(MOST_STREAMS),
        "probesize": "10000000",
        "analyzeduration": "10000000",
    }
    if kind.demuxer == "mov":
        options |= {"enable_drefs": "0", "use_absolute_path": "0"}
    with path.open("rb") as file:
        try:
            with av.open(
                _Nameless(file), format=kind.demuxer, container_options=options, io_open=_refuse, buffer_size=1 << 18
            ) as container:
                assert isinstance(container, InputContainer)  # narrows the type
                yield container
        except OtherFileError:
            raise StageError.invalid("The file refers to other files. Save it with everything inside.", field) from None
        except av.error.FFmpegError as error:
            raise StageError.invalid(
                f"The file looks like {kind.label}, but cannot be read: {reason(error)}.", field
            ) from error


def decoded(container: InputContainer, stream: Stream, notes: list[str], field: str) -> Iterator[Any]:
    """Decode a stream frame by frame, passing over a little damage.

    Args:
        container: An open file.
        stream: One of its streams.
        notes: Gets a sentence where something had to be left out.
        field: For errors.

    Yields:
        Frames, in order of time.

    Raises:
        StageError: E_INPUT_VALIDATION when a codec is not known here, or more than 5 % of the packets are damaged.
    """
    known = SOUND_CODECS | PICTURE_CODECS
    if stream.codec_context is None or stream.codec_context.name not in known:
        name = stream.codec_context.name if stream.codec_context else "unknown"
        raise StageError.invalid(f"The {stream.type} stream is coded as {name}, which is not read here.", field)
    packets = damaged = 0
    for packet in _packets(container, stream, notes):
        packets += 1
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            damaged += 1
            if damaged > 50 and damaged > DAMAGE_TOLERATED * packets:
                break
        else:
            yield from frames
    if damaged > max(1, DAMAGE_TOLERATED * packets):
        raise StageError.invalid(
            f"The {stream.type} stream is damaged: {damaged} of {packets} packets cannot be decoded.", field
        )
    if damaged:
        notes.append(f"{damaged} of {packets} packets of the {stream.type} stream were damaged and left out.")


def reason(error: av.error.FFmpegError) -> str:
    """FFmpeg's reason, as the end of a sentence."""
    return (error.strerror or type(error).__name__).rstrip(".").lower()


def _packets(container: InputContainer, stream: Stream, notes: list[str]) -> Iterator[Packet[Stream]]:
    """The stream's packets, up to where the file breaks off."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError as error:
        notes.append(f"The file breaks off: {reason(error)}.")


class _Nameless:
    """An open file without its name, which FFmpeg would take for a place to look for others."""

    def __init__(self, file: Any) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def _refuse(*_: object) -> NoReturn:
    raise OtherFileError
