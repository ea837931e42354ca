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
from talkingvideo_worker.files import atomic_write, file_digest
from talkingvideo_worker.media.encoder import TICKS_PER_FRAME, TIME_BASE, EncoderSettings, SegmentEncoder
from talkingvideo_worker.media.ffmpeg import ffmpeg_failures
from talkingvideo_worker.units import FRAME_RATE, Frame

AI_GENERATED = (
    "AI-generated video: the picture was animated by software to match the voice. "
    "Digital source type: http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
)
"""The statement in every result, with IPTC's machine-readable term."""

STANDARD_TAGS = frozenset({"album", "artist", "composer", "copyright", "date", "description", "genre", "title"})
"""Tags that FFmpeg's mp4 muxer writes in a form that players show. (Its ``use_metadata_tags`` writes any name, but in
QuickTime's form *instead* of these, and players then show no comment.)"""


def file_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Arrange metadata as mp4 tags.

    Args:
        metadata: Names and values. ``comment`` follows the statement that the file is AI-generated; a name without an
            mp4 tag becomes a line ``name: value`` of the comment.

    Returns:
        Tags for the muxer, always with a ``comment``.
    """
    tags = {name: value for name, value in metadata.items() if name in STANDARD_TAGS}
    lines = [AI_GENERATED]
    if comment := metadata.get("comment"):
        lines.append(comment)
    lines += [f"{name}: {value}" for name, value in metadata.items() if name not in STANDARD_TAGS | {"comment"}]
    return tags | {"comment": "\n".join(lines)}


REORDER_FRAMES = 2
"""Frames by which decoding precedes presentation: what x264's B-frame pyramid needs."""

SECONDS_PER_TICK = float(TIME_BASE)


@dataclass(frozen=True)
class JoinedVideo:
    """The joined file.

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
    """Join segments and mux the soundtrack by stream copy into an mp4 whose index comes first.

    Memory does not depend on the length, except for the muxer's index (some 70 bytes per packet).

    Args:
        segments: Video files of ``SegmentEncoder``, in order. Each is opened after the previous one was copied, and is not
            needed afterwards: an iterator may fetch them one by one and remove each when the next is requested.
        sound: The AAC soundtrack, or None for a silent video. Its edit list keeps its priming and its end.
        out: The result; it appears under its name when it is complete.
        metadata: See ``file_tags``.
        settings: For segments whose parameters differ from the first one's, because another version of the encoder made
            them: these are encoded again.

    Returns:
        Frames, seconds, size and digest of the file.

    Raises:
        StageError: E_FFMPEG when a segment or the soundtrack cannot be read, when there are no segments, or when one differs
            from the first even after it was encoded again.
    """
    with atomic_write(out) as unfinished, ffmpeg_failures("Joining the segments"):
        frames = _write(segments, sound, unfinished, file_tags(metadata), settings or EncoderSettings())
        size, digest = unfinished.stat().st_size, file_digest(unfinished)
    return JoinedVideo(frames=frames, seconds=frames / FRAME_RATE, bytes=size, sha256=digest)


def _write(
    segments: Iterable[Path], sound: Path | None, out: Path, tags: Mapping[str, str], settings: EncoderSettings
) -> int:
    """Write the file and return its number of frames."""
    video: _VideoTrack | None = None
    with ExitStack() as resources:
        file = resources.enter_context(_new_mp4(out, tags))
        audio: _AudioTrack | None = None
        for path in segments:
            with _open_segment(path) as segment:
                if video is None:
                    video = _VideoTrack(file, segment.streams.video[0])
                    audio = _AudioTrack(file, resources.enter_context(_open_segment(sound))) if sound else None
                if video.fits(segment):
                    _interleave(video.packets(segment), audio, file)
                    continue
            with _reencoded(path, out.with_suffix(".again.mp4"), settings) as segment:
                if not video.fits(segment):
                    raise StageError(
                        ErrorCode.FFMPEG,
                        f"Segment {path.name} was made with other settings than the first one, and cannot be joined to it.",
                        retryable=False,
                    )
                _interleave(video.packets(segment), audio, file)
        if video is None:
            raise StageError(ErrorCode.FFMPEG, "There are no segments to join.")
        if audio:
            file.mux(list(audio.packets_before(None)))
    return video.frames


class _VideoTrack:
    """The video track of the result; counts its frames to place the next segment."""

    def __init__(self, file: OutputContainer, template: VideoStream) -> None:
        self._track = file.add_stream_from_template(template, opaque=True)
        self._track.time_base = TIME_BASE
        self._parameters = _stream_parameters(template)
        self.frames = 0

    def fits(self, segment: InputContainer) -> bool:
        """Whether the decoder of the first segment can decode this one."""
        return _stream_parameters(segment.streams.video[0]) == self._parameters

    def packets(self, segment: InputContainer) -> Iterator[Packet[VideoStream]]:
        """The packets of a segment, shifted in time to follow the previous ones.

        Decoding times are counted instead of copied: they then increase by one frame across joints, whatever delay the
        encoder chose for a segment of one, two or many frames.
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


class _AudioTrack:
    """The audio track of the result: a copy of the soundtrack's packets, including priming and end."""

    def __init__(self, file: OutputContainer, source: InputContainer) -> None:
        stream = source.streams.audio[0]
        self._track = file.add_stream_from_template(stream, opaque=True)
        self._ticks_per_second = float(1 / _time_base(stream))
        self._packets = (packet for packet in source.demux(stream) if packet.dts is not None)
        self._next = next(self._packets, None)

    def packets_before(self, end: float | None) -> Iterator[Packet[AudioStream]]:
        """The next packets whose decoding time is before ``end`` seconds; all remaining ones when None."""
        limit = math.inf if end is None else end * self._ticks_per_second
        while self._next is not None and (self._next.dts or 0) < limit:
            self._next.stream = self._track
            yield self._next
            self._next = next(self._packets, None)


def _interleave(video: Iterator[Packet[VideoStream]], audio: _AudioTrack | None, file: OutputContainer) -> None:
    """Write packets in order of their decoding times."""
    for packet in video:
        if audio:
            for sound in audio.packets_before((packet.dts or 0) * SECONDS_PER_TICK):
                file.mux_one(sound)
        file.mux_one(packet)


def _open_segment(path: Path) -> InputContainer:
    """Open a file for copying.

    By default FFmpeg decodes the first frames to find out more than copying needs: 6.5 ms per segment instead of 0.2.
    """
    return av.open(path.absolute().as_posix(), format="mp4", options={"skip_frame": "all", "probesize": "32"})


def _new_mp4(path: Path, tags: Mapping[str, str]) -> OutputContainer:
    file = av.open(path.absolute().as_posix(), "w", format="mp4", options={"movflags": "+faststart"})
    file.metadata.update(tags)
    return file


def _stream_parameters(stream: VideoStream) -> tuple[object, ...]:
    """What a decoder is initialised with: size, time base and parameter sets."""
    context = stream.codec_context
    return context.width, context.height, stream.time_base, bytes(context.extradata or b"")


@contextmanager
def _reencoded(path: Path, scratch: Path, settings: EncoderSettings) -> Iterator[InputContainer]:
    try:
        with av.open(path.absolute().as_posix(), format="mp4") as segment:
            stream = segment.streams.video[0]
            with SegmentEncoder(scratch, stream.width, stream.height, settings) as encoder:
                for frame in segment.decode(stream):
                    encoder.write(cast(Frame, frame.to_ndarray(format="rgb24")))
        with _open_segment(scratch) as again:
            yield again
    finally:
        scratch.unlink(missing_ok=True)


def _time_base(stream: Stream) -> Fraction:
    if stream.time_base is None:
        raise StageError(ErrorCode.FFMPEG, "A track without a time base cannot be joined.")
    return stream.time_base
