import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.media.encoder import EncoderSettings, SegmentEncoder
from talkingvideo_worker.media.finished_video import verify
from talkingvideo_worker.media.join import AI_GENERATED, join_segments

pytestmark = pytest.mark.media

Encode = Callable[..., Path]
Numbers = Callable[[Path], list[int]]
Voice = Callable[..., tuple[Path, NDArray[np.int16]]]

LENGTHS = (81, 72, 5, 1, 2, 3, 81, 1)


@pytest.fixture
def segments(encode: Encode) -> list[Path]:
    starts = np.cumsum((0, *LENGTHS))
    return [
        encode(f"s{place}", range(start, start + length))
        for place, (start, length) in enumerate(zip(starts, LENGTHS, strict=False))
    ]


def pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(video=0) if packet.pts is not None]


def test_the_result_shows_every_frame_of_every_segment_in_order(
    segments: list[Path], tmp_path: Path, decoded_numbers: Numbers
) -> None:
    joined = join_segments(segments, None, tmp_path / "out.mp4", {})
    assert decoded_numbers(tmp_path / "out.mp4") == list(range(sum(LENGTHS)))
    assert (joined.frames, joined.seconds) == (sum(LENGTHS), sum(LENGTHS) / 25)


def test_the_join_encodes_nothing_again(segments: list[Path], tmp_path: Path) -> None:
    join_segments(segments, None, tmp_path / "out.mp4", {})
    assert pictures(tmp_path / "out.mp4") == [packet for path in segments for packet in pictures(path)]


@pytest.mark.parametrize("first", [0, 3, 4, 5])
def test_frames_are_exactly_a_twenty_fifth_apart_whichever_segment_is_first(
    segments: list[Path], tmp_path: Path, first: int
) -> None:
    join_segments(segments[first:], None, tmp_path / "out.mp4", {})
    with av.open(str(tmp_path / "out.mp4")) as file:
        packets = [(packet.pts, packet.dts) for packet in file.demux(video=0) if packet.pts is not None]
    assert sorted(pts for pts, _ in packets) == [512 * place for place in range(sum(LENGTHS[first:]))]
    assert [dts for _, dts in packets] == [512 * (place - 2) for place in range(len(packets))]


@pytest.mark.parametrize("rate", [48_000, 44_100, 16_000])
def test_the_sound_is_neither_moved_nor_cut(segments: list[Path], tmp_path: Path, voice: Voice, rate: int) -> None:
    sound, samples = voice(sum(LENGTHS) / 25 + 0.013, rate)
    join_segments(segments, sound, tmp_path / "out.mp4", {})

    def decoded(path: Path) -> NDArray[np.float32]:
        with av.open(str(path)) as file:
            return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])

    heard = decoded(tmp_path / "out.mp4")
    assert np.array_equal(heard, decoded(sound))
    for start in (0, len(samples) - rate):
        part = samples[start : start + rate].astype(np.float64)
        agreement = [
            np.corrcoef(part[20:-20], np.roll(heard[start : start + rate], -lag)[20:-20])[0, 1] for lag in range(-8, 9)
        ]
        assert int(np.argmax(agreement)) == 8
        assert max(agreement) > 0.8


def test_the_result_passes_the_stages_own_check(segments: list[Path], tmp_path: Path, voice: Voice) -> None:
    seconds = sum(LENGTHS) / 25 + 0.011
    join_segments(segments, voice(seconds)[0], tmp_path / "out.mp4", {})
    verify(tmp_path / "out.mp4", sum(LENGTHS), 128, 96, seconds)


def test_sound_and_picture_lie_together_in_the_file(encode: Encode, tmp_path: Path, voice: Voice) -> None:
    """A player that fetches the file front to back never has one far ahead of the other."""
    segment = encode("s", range(250))
    join_segments([segment, segment], voice(20.0)[0], tmp_path / "out.mp4", {})
    with av.open(str(tmp_path / "out.mp4")) as file:
        packets = sorted(
            (packet.pos, packet.stream.type, float(packet.dts * packet.time_base))
            for packet in file.demux()
            if packet.dts is not None
        )
    latest = {"video": 0.0, "audio": 0.0}
    for _, track, seconds in packets:
        latest[track] = seconds
        assert abs(latest["video"] - latest["audio"]) < 1


def test_size_and_digest_are_those_of_the_file(segments: list[Path], tmp_path: Path) -> None:
    joined = join_segments(segments, None, tmp_path / "out.mp4", {})
    content = (tmp_path / "out.mp4").read_bytes()
    assert joined.bytes == len(content)
    assert joined.sha256 == hashlib.sha256(content).hexdigest()


def test_joining_twice_makes_the_same_file(segments: list[Path], tmp_path: Path, voice: Voice) -> None:
    sound, _ = voice(5.0)
    digests = {join_segments(segments, sound, tmp_path / name, {"title": "x"}).sha256 for name in ("a.mp4", "b.mp4")}
    assert len(digests) == 1


def test_the_file_states_that_it_is_ai_generated(segments: list[Path], tmp_path: Path) -> None:
    told = {"title": "hello", "comment": "rendered with care", "engine": "preview 1.0", "description": "line\nbreak"}
    join_segments(segments, None, tmp_path / "out.mp4", told)
    with av.open(str(tmp_path / "out.mp4")) as file:
        tags = file.metadata
    assert (tags["title"], tags["description"]) == ("hello", "line\nbreak")
    assert tags["comment"] == f"{AI_GENERATED}\nrendered with care\nengine: preview 1.0"


def test_segments_are_taken_one_by_one_and_not_needed_afterwards(encode: Encode, tmp_path: Path) -> None:
    def fetched() -> Iterator[Path]:
        for number in range(6):
            path = encode("only", range(number * 10, number * 10 + 10))
            yield path
            path.unlink()

    assert join_segments(fetched(), None, tmp_path / "out.mp4", {}).frames == 60
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_segment_of_other_settings_is_encoded_again_to_fit(
    encode: Encode, tmp_path: Path, decoded_numbers: Numbers
) -> None:
    segments = [encode("a", range(20)), encode("b", range(20, 50), EncoderSettings(preset="ultrafast"))]
    segments.append(encode("c", range(50, 60)))
    join_segments(segments, None, tmp_path / "out.mp4", {})
    assert decoded_numbers(tmp_path / "out.mp4") == list(range(60))
    assert pictures(tmp_path / "out.mp4")[50:] == pictures(segments[2])
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_segments_that_still_differ_are_refused_without_a_retry(encode: Encode, tmp_path: Path) -> None:
    segments = [encode("a", range(20), EncoderSettings(preset="ultrafast")), encode("b", range(20, 50))]
    with pytest.raises(StageError, match=r"b\.mp4 was made with other settings") as refused:
        join_segments(segments, None, tmp_path / "out.mp4", {})
    assert (refused.value.code, refused.value.retryable) == (ErrorCode.FFMPEG, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_a_segment_of_another_size_is_refused(encode: Encode, tmp_path: Path) -> None:
    with SegmentEncoder(tmp_path / "big.mp4", 256, 96) as encoder:
        encoder.write(np.zeros((96, 256, 3), np.uint8))
    with pytest.raises(StageError, match="cannot be joined"):
        join_segments([encode("a", range(3)), tmp_path / "big.mp4"], None, tmp_path / "out.mp4", {})


def test_no_segments_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no segments"):
        join_segments([], None, tmp_path / "out.mp4", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["half", "empty", "text"])
def test_a_damaged_segment_is_reported_and_leaves_nothing(encode: Encode, tmp_path: Path, damage: str) -> None:
    good, bad = encode("good", range(40)), encode("bad", range(40))
    content = bad.read_bytes()
    bad.write_bytes({"half": content[: len(content) // 2], "empty": b"", "text": b"not a video"}[damage])
    with pytest.raises(StageError) as refused:
        join_segments([good, bad], None, tmp_path / "out.mp4", {})
    assert refused.value.code is ErrorCode.FFMPEG
    assert str(tmp_path) not in refused.value.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "good.mp4"]
