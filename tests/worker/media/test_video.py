from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.faces.types import Box
from talkingvideo_worker.media.video import first_frame, normalise_video

from .conftest import speechlike, write_sound, write_video

pytestmark = pytest.mark.media

FIELD = "spec.source.video.uri"
WIDTH, HEIGHT = 192, 128


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Its number as 8 black or white bars."""
    bits = np.array([(number >> bit & 1) * 200 + 20 for bit in range(8)], np.uint8)
    row = bits[np.arange(width) * 8 // width]
    return np.repeat(np.repeat(row[None, :, None], height, 0), 3, 2)


def number_of(picture: NDArray[np.uint8]) -> int:
    width = picture.shape[1]
    return sum(int(picture[:, (2 * bit + 1) * width // 16].mean() > 120) << bit for bit in range(8))


def frames_in(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(path.as_posix()) as file:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in file.decode(video=0)]


def numbers(path: Path, out: Path, limits: InputLimits) -> list[int]:
    made = normalise_video(path, out, 96, 64, None, limits, FIELD)
    frames = frames_in(out)
    assert made.frames == len(frames)
    return [number_of(frame) for frame in frames]


def expected(times: list[Fraction], end: Fraction) -> list[int]:
    """By definition: the frame whose time is nearest, the earlier one of two equally near."""
    count = max(1, int(end * 25 + Fraction(1, 2)))
    return [min(range(len(times)), key=lambda n: (abs(times[n] - Fraction(k, 25)), n)) for k in range(count)]


@pytest.mark.parametrize(
    "rate", [Fraction(25), Fraction(30), Fraction(30_000, 1001), Fraction(24), Fraction(50), Fraction(12), Fraction(60)]
)
def test_any_rate_is_converted_in_time(tmp_path: Path, limits: InputLimits, rate: Fraction) -> None:
    times = [n / rate for n in range(int(3 * rate))]
    path = write_video(tmp_path / "in", [numbered(n) for n in range(len(times))], times, base=1 / (rate * 1000))
    found = numbers(path, tmp_path / "out.mp4", limits)
    wanted = expected(times, len(times) / rate)
    assert abs(len(found) - len(wanted)) <= 1
    assert found[: len(wanted) - 1] == wanted[: len(found)][: len(wanted) - 1]


def test_a_varying_rate_keeps_its_times(tmp_path: Path, limits: InputLimits) -> None:
    random = np.random.default_rng(3)
    ticks = np.cumsum(random.integers(5, 300, 40))
    times = [Fraction(int(tick - ticks[0]), 1000) for tick in ticks]
    path = write_video(tmp_path / "in", [numbered(n) for n in range(40)], times, "matroska", base=Fraction(1, 1000))
    found, wanted = numbers(path, tmp_path / "out.mp4", limits), expected(times, times[-1])
    assert found[: len(wanted)] == wanted
    assert set(found[len(wanted) :]) <= {39}
    assert len(found) - len(wanted) <= 8


def test_a_start_other_than_zero_is_time_zero(tmp_path: Path, limits: InputLimits) -> None:
    times = [Fraction(7) + Fraction(n, 25) for n in range(10)]
    path = write_video(tmp_path / "in", [numbered(n) for n in range(10)], times, "mpegts")
    assert numbers(path, tmp_path / "out.mp4", limits)[:9] == list(range(9))


def test_the_result_is_constant_25_without_sound(tmp_path: Path, limits: InputLimits) -> None:
    times = [Fraction(n, 30) for n in range(30)]
    path = write_video(tmp_path / "in", [numbered(n) for n in range(30)], times, sound=speechlike(1, 48_000))
    made = normalise_video(path, tmp_path / "out.mp4", 96, 64, None, limits, FIELD)
    assert (made.frames, made.warnings) == (25, ())
    with av.open((tmp_path / "out.mp4").as_posix()) as file:
        assert [stream.type for stream in file.streams] == ["video"]
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (96, 64, Fraction(25))
        assert stream.time_base is not None
        shown = sorted(packet.pts * stream.time_base for packet in file.demux(stream) if packet.pts is not None)
        assert shown == [Fraction(n, 25) for n in range(25)]


CODECS = [
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "libx264", "yuv420p10le"),
    ("mp4", "libx265", "yuv420p"),
    ("mp4", "libsvtav1", "yuv420p10le"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("webm", "libvpx", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"),
    ("mpegts", "mpeg2video", "yuv420p"),
    ("mov", "prores_ks", "yuv422p10le"),
    ("mov", "mjpeg", "yuvj420p"),
]


@pytest.mark.parametrize(("container", "codec", "pixels"), CODECS)
def test_common_codecs_are_read(tmp_path: Path, limits: InputLimits, container: str, codec: str, pixels: str) -> None:
    options = (
        {"preset": "10"}
        if codec == "libsvtav1"
        else {"b": "2M", "deadline": "realtime", "cpu-used": "8"}
        if "vpx" in codec
        else {}
    )
    base = Fraction(1, 25)
    path = write_video(
        tmp_path / "in",
        [numbered(n) for n in range(10)],
        [Fraction(n, 25) for n in range(10)],
        container,
        codec,
        pixels,
        options=options,
        base=base,
    )
    found = numbers(path, tmp_path / "out.mp4", limits)
    assert found[:9] == list(range(9))


def corner_scene(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """White, red and blue corners: each of the eight turns and mirrors looks different."""
    picture = np.full((height, width, 3), 60, np.uint8)
    picture[: height // 2, : width // 2] = (230, 230, 230)
    picture[: height // 2, width // 2 :] = (220, 30, 30)
    picture[height // 2 :, : width // 2] = (30, 30, 220)
    return picture


TURNS = {
    (1, 0, 0, 1): None,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}
"""The first four numbers of a track's matrix, and what a player does with them."""


def turn_track(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a display matrix into the track header, as phones do."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (number * 0x10000 for number in matrix)
    for offset, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
        content[at + offset : at + offset + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)


@pytest.mark.parametrize("matrix", list(TURNS))
def test_a_phones_video_is_rotated_upright(
    tmp_path: Path, limits: InputLimits, matrix: tuple[int, int, int, int]
) -> None:
    path = write_video(tmp_path / "in", [corner_scene()] * 3, [Fraction(n, 25) for n in range(3)])
    turn_track(path, matrix)
    turn = TURNS[matrix]
    stored = Image.fromarray(corner_scene())
    wanted = np.asarray(stored if turn is None else stored.transpose(turn))
    found = first_frame(path, limits, FIELD)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 6
    normalise_video(path, tmp_path / "out.mp4", wanted.shape[1], wanted.shape[0], None, limits, FIELD)
    assert np.abs(frames_in(tmp_path / "out.mp4")[0].astype(int) - wanted).mean() < 6


def test_a_crop_is_in_the_upright_pictures_pixels(tmp_path: Path, limits: InputLimits) -> None:
    path = write_video(tmp_path / "in", [corner_scene()] * 3, [Fraction(n, 25) for n in range(3)])
    turn_track(path, (0, 1, -1, 0))
    upright = first_frame(path, limits, FIELD)
    assert upright.shape == (WIDTH, HEIGHT, 3)
    box = Box(64, 0, 64, 96)
    normalise_video(path, tmp_path / "out.mp4", 64, 96, box, limits, FIELD)
    found = frames_in(tmp_path / "out.mp4")[0]
    assert np.abs(found.astype(int) - upright[0:96, 64:128]).mean() < 6


def test_pixels_that_are_not_square_are_made_square(tmp_path: Path, limits: InputLimits) -> None:
    path = write_video(
        tmp_path / "in", [corner_scene()] * 3, [Fraction(n, 25) for n in range(3)], options={"x264-params": "sar=4/3"}
    )
    assert first_frame(path, limits, FIELD).shape == (HEIGHT, WIDTH * 4 // 3, 3)


@pytest.mark.parametrize(("height", "matrix"), [(720, "bt709"), (720, None), (128, None), (128, "smpte170m")])
def test_colours_survive_with_and_without_a_stated_matrix(
    tmp_path: Path, limits: InputLimits, height: int, matrix: str | None
) -> None:
    colours = np.zeros((height, 128, 3), np.uint8)
    for column, colour in enumerate([(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 160, 130)]):
        colours[:, column * 32 : column * 32 + 32] = colour
    space = "itu709" if height >= 720 else "itu601"
    with av.open((tmp_path / "in").as_posix(), "w", format="mp4") as file:
        parameters = {"x264-params": f"colormatrix={matrix}"} if matrix else {}
        stream = file.add_stream("libx264", rate=25, options={"crf": "5"} | parameters)
        stream.width, stream.height, stream.pix_fmt = 128, height, "yuv420p"
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(colours, "rgb24").reformat(format="yuv420p", dst_colorspace=space)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    found = first_frame(tmp_path / "in", limits, FIELD)
    assert np.abs(found[:, 8::32].astype(int) - colours[:, 8::32]).max() <= 5
    normalise_video(tmp_path / "in", tmp_path / "out.mp4", 128, height, None, limits, FIELD)
    with av.open((tmp_path / "out.mp4").as_posix()) as file:
        frame = next(file.decode(video=0))
        again = frame.reformat(format="rgb24", src_colorspace="itu709").to_ndarray()
    assert np.abs(again[:, 8::32].astype(int) - colours[:, 8::32]).max() <= 8


def refusal(path: Path, folder: Path, limits: InputLimits) -> str:
    with pytest.raises(StageError) as caught:
        normalise_video(path, folder / "out.mp4", 96, 64, None, limits, FIELD)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INPUT_VALIDATION, FIELD)
    assert not list(folder.glob("*out*"))
    return caught.value.message


def test_a_long_large_or_small_video_is_refused(tmp_path: Path, limits: InputLimits) -> None:
    times = [Fraction(n, 25) for n in range(50)]
    path = write_video(tmp_path / "in", [numbered(n) for n in range(50)], times)
    assert "longer than the limit of 1 seconds" in refusal(path, tmp_path, InputLimits(seconds=1))
    assert "192 x 128" in refusal(path, tmp_path, InputLimits(pixels=20_000))
    small = write_video(tmp_path / "small", [numbered(0, 48, 48)] * 3, times[:3])
    assert "48 x 48" in refusal(small, tmp_path, limits)
    with pytest.raises(StageError):
        first_frame(path, InputLimits(pixels=20_000), FIELD)


def test_a_jump_in_time_does_not_make_a_million_frames(tmp_path: Path, limits: InputLimits) -> None:
    times = [Fraction(0), Fraction(1, 25), Fraction(100_000)]
    path = write_video(tmp_path / "in", [numbered(n) for n in range(3)], times, "matroska", base=Fraction(1, 1000))
    assert "longer than" in refusal(path, tmp_path, limits)


def test_a_sound_without_pictures_is_refused(tmp_path: Path, limits: InputLimits) -> None:
    path = write_sound(tmp_path / "in", speechlike(1, 48_000), 48_000, "ipod", "aac")
    assert "no video stream" in refusal(path, tmp_path, limits)


def test_a_single_picture_is_a_video_of_one_frame(tmp_path: Path, limits: InputLimits) -> None:
    path = write_video(tmp_path / "in", [numbered(5)], [Fraction(0)])
    assert numbers(path, tmp_path / "out.mp4", limits) == [5]


def test_a_stream_that_changes_its_size_stays_in_the_crop(tmp_path: Path, limits: InputLimits) -> None:
    """Transport streams joined end to end, as recorders do."""
    parts = []
    for start, width, height in ((0, WIDTH, HEIGHT), (10, WIDTH * 2, HEIGHT * 2)):
        pictures = [numbered(n, width, height) for n in range(start, start + 10)]
        times = [Fraction(n, 25) for n in range(start, start + 10)]
        parts.append(write_video(tmp_path / f"{start}", pictures, times, "mpegts").read_bytes())
    (tmp_path / "in").write_bytes(b"".join(parts))
    found = numbers(tmp_path / "in", tmp_path / "out.mp4", limits)
    assert found[:9] == list(range(9))
    assert found[-1] == 19
