from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.media.finished_video import verify
from talkingvideo_worker.media.join import join_segments

pytestmark = pytest.mark.media

Encode = Callable[..., Path]
Voice = Callable[..., tuple[Path, NDArray[np.int16]]]

FRAMES = 100
EXPECTED: dict[str, Any] = {"frames": FRAMES, "width": 128, "height": 96, "sound_seconds": 4.0}


@pytest.fixture
def result(encode: Encode, voice: Voice, tmp_path: Path) -> Path:
    segments = [encode("a", range(60)), encode("b", range(60, FRAMES))]
    join_segments(segments, voice(4.0)[0], tmp_path / "out.mp4", {})
    return tmp_path / "out.mp4"


def test_a_file_as_planned_passes(result: Path) -> None:
    verify(result, **EXPECTED)


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        ({"frames": 99}, "lasts 4.000 s, not 3.960 s"),
        ({"frames": 101}, "lasts 4.000 s, not 4.040 s"),
        ({"width": 130}, "size"),
        ({"height": 98}, "size"),
        ({"sound_seconds": 4.03}, "the sound lasts"),
        ({"sound_seconds": 3.97}, "the sound lasts"),
        ({"sound_seconds": None}, "tracks"),
    ],
)
def test_a_difference_is_named(result: Path, difference: dict[str, Any], said: str) -> None:
    with pytest.raises(StageError, match=said) as refused:
        verify(result, **EXPECTED | difference)
    assert refused.value.code is ErrorCode.FFMPEG


def test_a_silent_video_must_have_no_sound(encode: Encode, tmp_path: Path) -> None:
    join_segments([encode("a", range(10))], None, tmp_path / "out.mp4", {})
    verify(tmp_path / "out.mp4", 10, 128, 96, None)
    with pytest.raises(StageError, match="tracks"):
        verify(tmp_path / "out.mp4", 10, 128, 96, 0.4)


def test_an_index_at_the_end_is_found(encode: Encode) -> None:
    with pytest.raises(StageError, match=r"index does not come first \(ftyp, free, mdat, moov\)"):
        verify(encode("a", range(10)), 10, 128, 96, None)


def remuxed(source: Path, out: Path, change: Callable[[int, bytes], bytes]) -> Path:
    """Copy a video, each packet's content as ``change`` makes it; an empty one is left out."""
    with av.open(str(source)) as old, av.open(str(out), "w", options={"movflags": "+faststart"}) as new:
        track = new.add_stream_from_template(old.streams.video[0], opaque=True)
        for place, packet in enumerate(packet for packet in old.demux(video=0) if packet.dts is not None):
            if content := change(place, bytes(packet)):
                changed = av.Packet(content)
                changed.pts, changed.dts, changed.duration = packet.pts, packet.dts, packet.duration
                changed.is_keyframe, changed.time_base, changed.stream = packet.is_keyframe, packet.time_base, track
                new.mux(changed)
    return out


def test_a_copy_without_changes_passes(encode: Encode, tmp_path: Path) -> None:
    verify(remuxed(encode("a", range(FRAMES)), tmp_path / "b.mp4", lambda _, packet: packet), FRAMES, 128, 96, None)


def test_a_missing_frame_is_found_even_where_the_length_is_right(encode: Encode, tmp_path: Path) -> None:
    broken = remuxed(
        encode("a", range(FRAMES)), tmp_path / "b.mp4", lambda place, packet: b"" if place == 50 else packet
    )
    with pytest.raises(StageError, match="number of frames: 99 instead of 100"):
        verify(broken, FRAMES, 128, 96, None)


@pytest.mark.parametrize("place", [0, 97])
def test_pictures_that_cannot_be_decoded_are_found_at_both_ends(encode: Encode, tmp_path: Path, place: int) -> None:
    def damage(number: int, packet: bytes) -> bytes:
        return packet[:4] + bytes(len(packet) - 4) if number == place else packet

    whole = tmp_path / "whole.mp4"
    join_segments([encode("a", range(50)), encode("b", range(50, FRAMES))], None, whole, {})
    with pytest.raises(StageError):
        verify(remuxed(whole, tmp_path / "b.mp4", damage), FRAMES, 128, 96, None)


@pytest.mark.parametrize("content", [b"", b"text", b"\0\0\0\0moov"])
def test_a_file_that_is_not_an_mp4_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "out.mp4").write_bytes(content)
    with pytest.raises(StageError, match="index does not come first"):
        verify(tmp_path / "out.mp4", 10, 128, 96, None)
