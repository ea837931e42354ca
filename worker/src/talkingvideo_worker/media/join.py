"""Joins segments and the soundtrack into the finished file by stream copy: nothing is encoded again.

Prepare encoded the soundtrack once, as a whole. If every segment carried its own AAC, each joint would contain the encoder's
priming (one AAC frame, 21 ms at 48 kHz); here nothing can drift.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.files import file_digest, whole_file
from talkingvideo_worker.media.encoder import TICKS_PER_FRAME, TIME_BASE, EncoderSettings, SegmentEncoder
from talkingvideo_worker.media.ffmpeg import ffmpeg_failures
from talkingvideo_worker.units import FRAME_RATE, Frame

AI_GENERATED = (
    "AI-generated video: the picture was animated by software to match the voice. "
    "Digital source type: http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
)
"""The statement in every result, with IPTC's term for machines."""

STANDARD_TAGS = frozenset({"album", "artist", "composer", "copyright", "date", "description", "genre", "title"})
"""What FFmpeg's mp4 muxer writes as tags that players show. (Its ``use_metadata_tags`` would write any name, but in
QuickTime's form *instead* of these, and players then show no comment.)"""


def file_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Arrange metadata as mp4 tags.

    Args:
        metadata: Names and values. ``comment`` follows the statement that the file is AI-generated; a name that mp4 has
            no tag for becomes a line ``name: value`` of the comment.

    Returns:
        Tags for the muxer; ``comment`` is always among them.
    """
    tags = {name: value for name, value in metadata.items() if name in STANDARD_TAGS}
    lines = [AI_GENERATED]
    if comment := metadata.get("comment"):
        lines.append(comment)
    lines += [f"{name}: {value}" for name, value in metadata.items() if name not in STANDARD_TAGS | {"comment"}]
    return tags | {"comment": "\n".join(lines)}


REORDER_FRAMES = 2
"""Frames by which decoding runs ahead of showing: what x264's pyramid of B-frames needs, and never more."""

SECONDS_PER_TICK = float(TIME_BASE)


@dataclass(frozen=True)
class JoinedVideo:
    """What became of the segments.

    Attributes:
        frames: Frames of the video.
        seconds: ``frames`` / 25.
        bytes: Size of the file.
        sha256: Its digest, hexadecimal.
    """

    frames: int
    seconds: float
    bytes: int
    sha256: str


def join_segments(
    segments: Iterable[Path],
    sound: Path | None,
    out: Path,
    metadata: Mapping[str, str],
    settings: EncoderSettings | None = None,
) -> JoinedVideo:
    """Join segments and mux the sound, all by stream copy, into an mp4 whose index comes first.

    Memory does not depend on the length, but for the muxer's index (some 70 bytes a packet).

    Args:
        segments: Video files made by ``SegmentEncoder``, in order. Each is opened when the one before was copied, and
            not needed afterwards: they may be fetched one by one, and removed as the next is asked for.
        sound: The AAC track, or None for a silent video. Its priming and its end are kept by its edit list.
        out: The result; visible under its name only when complete.
        metadata: See ``provenance.file_tags``.
        settings: A segment that does not fit the first one (another version of the encoder made it) is encoded again
            with these.

    Returns:
        Frames, seconds, size and digest of the file.

    Raises:
        StageError: E_FFMPEG when a segment or the sound cannot be read, when there are no segments, or when one does not
            fit the first even after it was encoded again.
    """
    with whole_file(out) as unfinished, ffmpeg_failures("Joining the segments"):
        frames = _write(segments, sound, unfinished, file_tags(metadata), settings or EncoderSettings())
        size, digest = unfinished.stat().st_size, file_digest(unfinished)
    return JoinedVideo(frames=frames, seconds=frames / FRAME_RATE, bytes=size, sha256=digest)


def _write(
    segments: Iterable[Path], sound: Path | None, out: Path, tags: Mapping[str, str], settings: EncoderSettings
) -> int:
    """Write the file; return its frames."""
    pictures: _PictureTrack | None = None
    with ExitStack() as resources:
        file = resources.enter_context(_new_mp4(out, tags))
        voice: _SoundTrack | None = None
        for path in segments:
            with _readable(path) as segment:
                if pictures is None:
                    pictures = _PictureTrack(file, segment.streams.video[0])
                    voice = _SoundTrack(file, resources.enter_context(_readable(sound))) if sound else None
                if pictures.fits(segment):
                    _interleave(pictures.packets(segment), voice, file)
                    continue
            with _encoded_again(path, out.with_suffix(".again.mp4"), settings) as segment:
                if not pictures.fits(segment):
                    raise StageError(
                        ErrorCode.FFMPEG,
                        f"Segment {path.name} was made with other settings than the first one and does not fit it.",
                        retryable=False,
                    )
                _interleave(pictures.packets(segment), voice, file)
        if pictures is None:
            raise StageError(ErrorCode.FFMPEG, "There are no segments to join.")
        if voice:
            file.mux(list(voice.packets_before(None)))
    return pictures.frames


class _PictureTrack:
    """The video track being written, and where its next segment begins."""

    def __init__(self, file: OutputContainer, like: VideoStream) -> None:
        self._track = file.add_stream_from_template(like, opaque=True)
        self._track.time_base = TIME_BASE
        self._form = _form(like)
        self.frames = 0

    def fits(self, segment: InputContainer) -> bool:
        """Whether a decoder set up for the first segment decodes this one."""
        return _form(segment.streams.video[0]) == self._form

    def packets(self, segment: InputContainer) -> Iterator[Packet[VideoStream]]:
        """The pictures of a segment, timed to follow what came before.

        Decoding times are counted rather than copied: they then rise by one frame across joints, whatever lead the
        encoder gave to a segment of one, two or many frames.
        """
        first = self.frames
        for packet in segment.demux(segment.streams.video[0]):
            if packet.pts is None:
                continue
            packet.stream = self._track
            packet.pts += first * TICKS_PER_FRAME
            packet.dts = (self.frames - REORDER_FRAMES) * TICKS_PER_FRAME
            self.frames += 1
            yield packet


class _SoundTrack:
    """The sound's track being written: what was encoded, packet by packet, priming and end included."""

    def __init__(self, file: OutputContainer, source: InputContainer) -> None:
        stream = source.streams.audio[0]
        self._track = file.add_stream_from_template(stream, opaque=True)
        self._ticks_per_second = float(1 / _time_base(stream))
        self._packets = (packet for packet in source.demux(stream) if packet.dts is not None)
        self._next = next(self._packets, None)

    def packets_before(self, end: float | None) -> Iterator[Packet[AudioStream]]:
        """Packets not yet given whose decoding time is before ``end`` seconds; None: all that are left."""
        limit = math.inf if end is None else end * self._ticks_per_second
        while self._next is not None and (self._next.dts or 0) < limit:
            self._next.stream = self._track
            yield self._next
            self._next = next(self._packets, None)


def _interleave(pictures: Iterator[Packet[VideoStream]], voice: _SoundTrack | None, file: OutputContainer) -> None:
    for picture in pictures:
        if voice:
            for sound in voice.packets_before((picture.dts or 0) * SECONDS_PER_TICK):
                file.mux_one(sound)
        file.mux_one(picture)


def _readable(path: Path) -> InputContainer:
    """Open a file for copying.

    FFmpeg would decode the first pictures to learn more than copying needs: 6.5 ms a segment instead of 0.2.
    """
    return av.open(path.absolute().as_posix(), format="mp4", options={"skip_frame": "all", "probesize": "32"})


def _new_mp4(path: Path, tags: Mapping[str, str]) -> OutputContainer:
    file = av.open(path.absolute().as_posix(), "w", format="mp4", options={"movflags": "+faststart"})
    file.metadata.update(tags)
    return file


def _form(stream: VideoStream) -> tuple[object, ...]:
    """All that a decoder is set up with: size, time base and parameter sets."""
    context = stream.codec_context
    return context.width, context.height, stream.time_base, bytes(context.extradata or b"")


@contextmanager
def _encoded_again(path: Path, scratch: Path, settings: EncoderSettings) -> Iterator[InputContainer]:
    try:
        with av.open(path.absolute().as_posix(), format="mp4") as segment:
            stream = segment.streams.video[0]
            with SegmentEncoder(scratch, stream.width, stream.height, settings) as encoder:
                for frame in segment.decode(stream):
                    encoder.write(cast(Frame, frame.to_ndarray(format="rgb24")))
        with _readable(scratch) as again:
            yield again
    finally:
        scratch.unlink(missing_ok=True)


def _time_base(stream: Stream) -> Fraction:
    if stream.time_base is None:
        raise StageError(ErrorCode.FFMPEG, "A track without a time base cannot be joined.")
    return stream.time_base
