"""FFmpeg through PyAV: the one place that opens untrusted sound and video, and its errors as the stage's own.

FFmpeg gets an open file without a name, and ``format_whitelist`` refuses every format but those of ``formats.DEMUXERS``.
There is no path that it could resolve, and any attempt to open another file is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import SEEK_SET
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.media.formats import DEMUXERS, UNKNOWN, demuxer_label, id3_length, identify

MAX_STREAMS = 64
"""More streams than any recording has; the rest of a file is ignored."""

SOUND_CODECS = frozenset(
    """
    aac aac_latm ac3 alac amrnb amrwb eac3 flac gsm gsm_ms libopencore_amrnb libopencore_amrwb mp1float mp2 mp2float mp3
    mp3float opus libopus pcm_alaw pcm_bluray pcm_dvd pcm_f32be pcm_f32le pcm_f64be pcm_f64le pcm_mulaw pcm_s16be
    pcm_s16le pcm_s24be pcm_s24le pcm_s32be pcm_s32le pcm_s8 pcm_u8 pcm_u16be pcm_u16le adpcm_ima_qt adpcm_ima_wav
    adpcm_ms vorbis wavpack wmalossless wmapro wmav1 wmav2 wmavoice
    """.split()  # noqa: SIM905 one line each would fill a page
)
PICTURE_CODECS = frozenset(
    """
    av1 dnxhd ffv1 flv h263 h264 hevc huffyuv libdav1d mjpeg mpeg1video mpeg2video mpeg4 msmpeg4 msmpeg4v2 prores
    rawvideo theora vc1 libvpx libvpx-vp9 vp8 vp9 wmv1 wmv2 wmv3
    """.split()  # noqa: SIM905
)
"""Decoders that recordings need. FFmpeg has six hundred more, many of them for video games of the 1990s.

FFmpeg's ``codec_whitelist`` binds only the decoders that FFmpeg opens itself, to find out about the streams; PyAV opens
its own, for which `decode_stream` checks the name."""

OPTIONS = {
    "protocol_whitelist": "none",
    "format_whitelist": ",".join(DEMUXERS),
    "codec_whitelist": ",".join(sorted(SOUND_CODECS | PICTURE_CODECS)),
    "max_streams": str(MAX_STREAMS),
    "probesize": "10000000",
    "analyzeduration": "10000000",
    "enable_drefs": "0",
    "use_absolute_path": "0",
}
"""How untrusted files are opened. The last two keep QuickTime files from referring to others; other formats ignore them."""

DECODER_THREADS = 2
"""Threads of a decoder, the usual CPU limit of prepare's pods. Each needs memory for pictures of its own."""

PACKETS_PER_SECOND, FREE_PACKETS = 2_000, 5_000
"""Packets of a stream per second of what they hold, and how many may come first. Opus at its shortest has 400 a second, Vorbis
750; a file of packets with one sample each has tens of thousands, and takes minutes."""

DECODED_METADATA: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}
"""PyAV before 19 raises for metadata that is not UTF-8 unless told otherwise; later versions, which need Python 3.12, never do."""

DAMAGE_TOLERATED = 0.05
"""Largest share of damaged packets."""


class OtherFileError(Exception):
    """A file refers to another file."""


@contextmanager
def open_media(path: Path, field: str) -> Iterator[InputContainer]:
    """Open a sound or video file.

    Args:
        path: Untrusted content.
        field: The field that named it, for errors.

    Yields:
        The open container.

    Raises:
        StageError: E_INPUT_VALIDATION, naming what the file is when it is neither sound nor video, and for any error of
            FFmpeg, also within the block.
    """
    found = identify(path)
    if found is not None and found.demuxer is None:
        raise _not_media(found.label, field)
    label = found.label if found is not None else None
    try:
        with _opened(path, found.demuxer if found is not None else None) as container:
            label = demuxer_label(container.format.name)
            yield container
    except OtherFileError:
        raise StageError.invalid("The file refers to other files. Save it with everything inside.", field) from None
    except MemoryError:
        raise
    except av.error.FFmpegError as error:
        if label is None:
            raise _not_media(UNKNOWN.label, field) from error
        message = f"The file looks like {label}, but cannot be read: {reason(error)}."
        raise StageError.invalid(message, field) from error


def describe(path: Path) -> str:
    """Name a file's format for a refusal, with an article. FFmpeg is asked where the first bytes do not tell."""
    if (found := identify(path)) is not None:
        return found.label
    try:
        with _opened(path, None) as container:
            return demuxer_label(container.format.name)
    except (OtherFileError, av.error.FFmpegError):
        return UNKNOWN.label


@contextmanager
def _opened(path: Path, demuxer: str | None) -> Iterator[InputContainer]:
    """Open a file with a demuxer; FFmpeg chooses one of the whitelist when None."""
    with (
        path.open("rb") as file,
        av.open(
            _Content(file),
            format=demuxer,
            container_options=OPTIONS,
            io_open=_refuse,
            buffer_size=1 << 18,
            **DECODED_METADATA,
        ) as container,
    ):
        assert isinstance(container, InputContainer)  # narrows the type
        yield container


def _not_media(label: str, field: str) -> StageError:
    return StageError.invalid(f"The file is {label}; a sound or video file is needed.", field)


def decode_stream(
    container: InputContainer, stream: Stream, warnings: list[str], field: str, seconds: Callable[[], float]
) -> Iterator[Any]:
    """Decode a stream frame by frame, and skip a few damaged packets.

    Args:
        container: An open file.
        stream: One of its streams.
        warnings: Receives a sentence about what was skipped.
        field: For errors.
        seconds: How long what was yielded so far lasts.

    Yields:
        Frames, in order of time.

    Raises:
        StageError: E_INPUT_VALIDATION when the codec is not supported, more than 5 % of the packets are damaged, or there are
            far more packets than the time needs.
    """
    require_decoder(stream, field)
    stream.codec_context.thread_count = DECODER_THREADS
    packets = damaged = 0
    for packet in _packets(container, stream, warnings):
        packets += 1
        if packets > FREE_PACKETS + PACKETS_PER_SECOND * seconds():
            message = f"The {stream.type} stream has {packets} packets for {seconds():.2f} s: encode the file again."
            raise StageError.invalid(message, field)
        try:
            frames = packet.decode()
        except MemoryError:
            raise
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
        warnings.append(f"{damaged} of {packets} packets of the {stream.type} stream were damaged and left out.")


def require_decoder(stream: Stream, field: str) -> None:
    """Refuse a stream whose codec is unknown or not supported. Nothing else can be asked of one without a decoder.

    Raises:
        StageError: E_INPUT_VALIDATION.
    """
    name = stream.codec_context.name if stream.codec_context else "unknown"
    if name not in SOUND_CODECS | PICTURE_CODECS:
        raise StageError.invalid(f"The {stream.type} stream is coded as {name}, which is not supported.", field)


@contextmanager
def ffmpeg_failures(action: str) -> Iterator[None]:
    """Turn FFmpeg's errors into a StageError.

    Args:
        action: What was tried, as the start of a sentence: ``"Joining the segments"``.

    Raises:
        StageError: E_FFMPEG, with FFmpeg's reason but without paths.
    """
    try:
        yield
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise StageError(ErrorCode.FFMPEG, f"{action} failed: {reason}") from error


def reason(error: av.error.FFmpegError) -> str:
    """FFmpeg's reason, as the end of a sentence."""
    return (error.strerror or type(error).__name__).rstrip(".").lower()


def _packets(container: InputContainer, stream: Stream, warnings: list[str]) -> Iterator[Packet[Stream]]:
    """The stream's packets, up to the point where the file is cut off."""
    try:
        yield from container.demux(stream)
    except MemoryError:
        raise
    except av.error.FFmpegError as error:
        warnings.append(f"The file is cut off: {reason(error)}.")


class _Content:
    """An open file behind its ID3 tags, without its name: FFmpeg would derive the format and a folder from that."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.seek(id3_length(file))
        self.read = file.read

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Move, but not to places before the start, which FFmpeg asks for in damaged files."""
        with suppress(OSError):
            self._file.seek(offset + self._start if whence == SEEK_SET else offset, whence)
        return self.tell()

    def tell(self) -> int:
        return self._file.tell() - self._start


def _refuse(*_: object) -> NoReturn:
    raise OtherFileError
