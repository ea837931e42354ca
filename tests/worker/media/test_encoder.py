import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.media.encoder import EncoderSettings, SegmentEncoder

pytestmark = pytest.mark.media

Encode = Callable[..., Path]


@pytest.mark.parametrize("frames", [1, 2, 3, 81, 300])
def test_every_frame_written_is_in_the_segment_in_order(
    encode: Encode, decoded_numbers: Callable[[Path], list[int]], frames: int
) -> None:
    assert decoded_numbers(encode("a", range(frames))) == list(range(frames))


def test_a_segment_is_h264_with_its_colours_declared(encode: Encode) -> None:
    with av.open(str(encode("a", range(30)))) as file:
        (stream,) = file.streams.video
        assert len(file.streams) == 1
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == ("h264", "yuv420p", 128, 96)
        assert (stream.average_rate, stream.time_base) == (Fraction(25), Fraction(1, 12_800))
        assert stream.start_time == 0
        assert [context.colorspace, context.color_primaries, context.color_trc, context.color_range] == [1, 1, 1, 1]


def test_colours_survive(tmp_path: Path) -> None:
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [128, 128, 128]], np.uint8)
    picture = np.repeat(np.repeat(colours[None], 64, 0), 32, 1)
    with SegmentEncoder(tmp_path / "a.mp4", 128, 64) as encoder:
        encoder.write(picture)
    with av.open(str(tmp_path / "a.mp4")) as file:
        shown = next(file.decode(video=0)).to_ndarray(
            format="rgb24", src_colorspace="ITU709", interpolation="ACCURATE_RND"
        )
    assert shown[32, 16::32].astype(int) == pytest.approx(colours.astype(int), abs=6)


def test_every_group_of_pictures_is_closed(encode: Encode) -> None:
    """After a key frame in decoding order nothing is shown before it."""
    with av.open(str(encode("a", range(600)))) as file:
        packets = [(packet.pts, packet.is_keyframe) for packet in file.demux(video=0) if packet.pts is not None]
    keys = [place for place, (_, is_key) in enumerate(packets) if is_key]
    assert keys[0] == 0
    assert len(keys) >= 2
    assert all(later > packets[key][0] for key in keys for later, _ in packets[key + 1 :])


def test_segments_of_all_lengths_share_their_parameter_sets(encode: Encode) -> None:
    headers = set()
    for frames in (1, 2, 40, 81):
        with av.open(str(encode(str(frames), range(frames)))) as file:
            headers.add(bytes(file.streams.video[0].codec_context.extradata or b""))
    assert len(headers) == 1


def test_the_same_frames_are_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 32, (10, 240, 416, 3), np.uint8)
    frames += np.linspace(0, 200, 10).astype(np.uint8)[:, None, None, None]
    contents = set()
    for _ in range(4):
        with SegmentEncoder(tmp_path / "a.mp4", 416, 240) as encoder:
            for frame in frames:
                encoder.write(frame)
        contents.add((tmp_path / "a.mp4").read_bytes())
    assert len(contents) == 1


def test_different_settings_have_different_digests() -> None:
    digests = [EncoderSettings(), EncoderSettings(crf=20), EncoderSettings(preset="fast"), EncoderSettings(threads=1)]
    assert len({settings.digest for settings in digests}) == 4
    assert EncoderSettings().digest == EncoderSettings().digest


def test_nothing_is_left_when_rendering_fails(tmp_path: Path) -> None:
    def render() -> None:
        with SegmentEncoder(tmp_path / "a.mp4", 64, 64) as encoder:
            encoder.write(np.zeros((64, 64, 3), np.uint8))
            assert not (tmp_path / "a.mp4").exists()
            raise KeyError("the engine's")

    with pytest.raises(KeyError, match="the engine's"):
        render()
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_segment_of_the_name_stays_when_rendering_fails(tmp_path: Path, encode: Encode) -> None:
    before = encode("a", range(3)).read_bytes()

    def render() -> None:
        with SegmentEncoder(tmp_path / "a.mp4", 64, 64):
            raise KeyError

    with pytest.raises(KeyError):
        render()
    assert (tmp_path / "a.mp4").read_bytes() == before


def test_a_killed_encoder_leaves_nothing_under_the_name_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    code = (
        "import os, sys, numpy as np; from pathlib import Path;"
        "from talkingvideo_worker.media.encoder import SegmentEncoder\n"
        "with SegmentEncoder(Path(sys.argv[1]), 64, 64) as encoder:\n"
        "    for _ in range(100): encoder.write(np.zeros((64, 64, 3), np.uint8))\n"
        "    os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.mp4")], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "a.mp4").exists()
    with SegmentEncoder(tmp_path / "a.mp4", 64, 64) as encoder:
        encoder.write(np.zeros((64, 64, 3), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_segment_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError) as refused, SegmentEncoder(tmp_path / "a.mp4", 64, 64):
        pass
    assert refused.value.code is ErrorCode.FFMPEG
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="shape"), SegmentEncoder(tmp_path / "a.mp4", 64, 64) as encoder:
        encoder.write(np.zeros((64, 66, 3), np.uint8))


def test_odd_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="even"):
        SegmentEncoder(tmp_path / "a.mp4", 63, 64)


def test_an_unknown_preset_is_ffmpegs_failure(tmp_path: Path) -> None:
    with (
        pytest.raises(StageError) as refused,
        SegmentEncoder(tmp_path / "a.mp4", 64, 64, EncoderSettings(preset="no-such")) as encoder,
    ):
        encoder.write(np.zeros((64, 64, 3), np.uint8))
    assert refused.value.code is ErrorCode.FFMPEG
    assert str(tmp_path) not in refused.value.message
    assert list(tmp_path.iterdir()) == []


def test_decoding_times_rise_by_one_frame(encode: Encode) -> None:
    with av.open(str(encode("a", range(81)))) as file:
        times = [packet.dts for packet in file.demux(video=0) if packet.dts is not None]
    assert {after - before for before, after in pairwise(times)} == {512}
