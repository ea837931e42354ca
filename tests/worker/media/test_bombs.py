"""Small files that would take gigabytes or minutes. Each is made anew, opened as prepare opens it, and ends in words."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from PIL import Image

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.faces.types import Box
from talkingvideo_worker.media.confined import TASKS as MODULE
from talkingvideo_worker.media.confined import ConfinedDecoders
from talkingvideo_worker.media.formats import count_jpeg_scans
from talkingvideo_worker.media.picture import MAX_SCANS
from talkingvideo_worker.media.sandboxed import TASKS
from talkingvideo_worker.sandbox.client import Sandbox

from .conftest import numbered, speechlike, write_sound, write_video

pytestmark = pytest.mark.media

FIELD = "spec.source.video.uri"
GIGABYTE = 1_000_000_000

assert TASKS


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(MODULE, tmp_path_factory.mktemp("made")) as sandbox:
        yield sandbox


@pytest.fixture
def media(sandbox: Sandbox, limits: InputLimits) -> ConfinedDecoders:
    return ConfinedDecoders(sandbox, sandbox.folder, limits)


@pytest.fixture
def words(sandbox: Sandbox) -> Callable[[Callable[[], object]], str]:
    """The words in which opening a file ends; less than a gigabyte was used."""

    def words(use: Callable[[], object]) -> str:
        with pytest.raises(StageError) as caught:
            use()
        assert (caught.value.code, caught.value.field) == (ErrorCode.INPUT_VALIDATION, FIELD)
        assert sandbox.ended is not None and sandbox.ended.peak_bytes < GIGABYTE
        return caught.value.message

    return words


Words = Callable[[Callable[[], object]], str]


@pytest.mark.parametrize("aspect", [Fraction(100), Fraction(1, 100), Fraction(21)])
def test_a_line_of_wide_pixels(tmp_path: Path, media: ConfinedDecoders, words: Words, aspect: Fraction) -> None:
    """1,920 x 1,080 that is shown as 192,000 x 1,080: 2.4 GB when it is scaled."""
    path = tmp_path / "in"
    with av.open(path.as_posix(), "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((1080, 1920, 3), np.uint8), "rgb24")))
        file.mux(stream.encode(None))
    assert "the limit is" in (found := words(lambda: media.first_frame(path, FIELD))) or "20 times" in found


@pytest.mark.parametrize("size", [(64, 6_400), (6_400, 64)])
def test_a_line_of_pixels(tmp_path: Path, media: ConfinedDecoders, words: Words, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "in", "PNG")
    assert "20 times the shorter" in words(lambda: media.picture(tmp_path / "in", FIELD))


def progressive(path: Path, repeats: int) -> Path:
    """A progressive JPEG whose last scan comes many times."""
    Image.effect_noise((512, 512), 40).save(path, "JPEG", progressive=True)
    content = path.read_bytes()
    start = content.rindex(b"\xff\xda")
    path.write_bytes(content[:start] + content[start:-2] * repeats + content[-2:])
    return path


def test_a_jpeg_of_thousands_of_scans(tmp_path: Path, media: ConfinedDecoders, words: Words) -> None:
    path = progressive(tmp_path / "in", 200)
    assert f"more than {MAX_SCANS} scans" in words(lambda: media.picture(path, FIELD))


def test_only_the_scans_of_the_picture_are_counted(tmp_path: Path, media: ConfinedDecoders) -> None:
    """Not those of a preview in its data, nor of what phones append to it."""
    path = progressive(tmp_path / "in", 1)
    scans = count_jpeg_scans(path.read_bytes(), 1_000)
    assert 1 < scans < 12
    content = path.read_bytes()
    preview = b"\xff\xe1" + struct.pack(">H", 2 + 1_000) + b"\xff\xda" * 500
    path.write_bytes(content[:2] + preview + content[2:] + b"\xff\xda\0\2" * 1_000)
    assert count_jpeg_scans(path.read_bytes(), 1_000) == scans
    assert media.picture(path, FIELD).rgb.shape == (512, 512, 3)


def test_packets_of_one_sample(tmp_path: Path, media: ConfinedDecoders, words: Words) -> None:
    """4 MB of them take 474 s."""
    path = tmp_path / "in"
    with av.open(path.as_posix(), "w", format="matroska") as file:
        stream = file.add_stream("pcm_s16le", rate=48_000, layout="mono")
        for number in range(20_000):
            packet = Packet(b"\x01\x02")
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 48_000)
            file.mux(packet)
    assert "packets for" in words(lambda: media.engine_audio(path, tmp_path / "out.wav", FIELD))


def test_an_hour_of_gaps_between_a_hundred_packets(tmp_path: Path, media: ConfinedDecoders, words: Words) -> None:
    """Silence is encoded, too: minutes of computing time for 2 kB."""
    path = tmp_path / "in"
    with av.open(path.as_posix(), "w", format="matroska") as file:
        stream = file.add_stream("pcm_s16le", rate=48_000, layout="mono")
        for number in range(100):
            packet = Packet(bytes(960))
            packet.stream, packet.time_base = stream, Fraction(1, 1_000)
            packet.pts = packet.dts = 59_000 * number
            file.mux(packet)
    assert "mostly missing" in words(lambda: media.engine_audio(path, tmp_path / "out.wav", FIELD))


def test_frames_of_a_hundred_megapixels(tmp_path: Path, media: ConfinedDecoders, words: Words) -> None:
    """3.2 GB at 16 threads."""
    path = write_video(tmp_path / "in", [np.zeros((9_984, 9_984, 3), np.uint8)], [Fraction(0)])
    assert "9984 x 9984; the limit is 35.6" in words(lambda: media.first_frame(path, FIELD))


def fragment_of(path: Path, samples: int) -> Path:
    """An MP4 whose fragment says that it has so many samples, all alike, so that none of them is listed."""
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    content = bytearray(write_sound(path, speechlike(0.2, 48_000), 48_000, "mp4", "aac", options).read_bytes())
    run = content.index(b"trun") + 4
    content[run : run + 8] = struct.pack(">II", 0, samples)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("samples", [1_000_000, 80_000_000])
def test_an_index_of_millions_of_samples(tmp_path: Path, media: ConfinedDecoders, words: Words, samples: int) -> None:
    """FFmpeg's index needs 24 bytes for each: 1.9 GB from a file of 3 kB."""
    path = fragment_of(tmp_path / "in", samples)
    assert path.stat().st_size < 7_500
    assert words(lambda: media.engine_audio(path, tmp_path / "out.wav", FIELD))


def test_a_picture_that_needs_more_memory_than_there_is(
    tmp_path: Path, media: ConfinedDecoders, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("talkingvideo_worker.sandbox.limits.MEMORY_BYTES", 128 << 20)
    Image.new("RGB", (7_000, 7_000)).save(tmp_path / "in", "PNG")
    assert "more than 134 MB of memory to decode" in words(lambda: media.picture(tmp_path / "in", FIELD))


def test_a_source_is_read_as_far_as_the_speech_lasts(tmp_path: Path, media: ConfinedDecoders) -> None:
    """A still picture of two hours in a few kilobytes would otherwise be encoded for minutes."""
    times = [Fraction(0), Fraction(1, 25), Fraction(7_100)]
    path = write_video(tmp_path / "in", [numbered(n) for n in range(3)], times, "matroska", base=Fraction(1, 1000))
    made = media.normalise_video(path, tmp_path / "out.mp4", (128, 96), Box(0, 0, 128, 96), (128, 96), 30, FIELD)
    assert made.frames == 30


@pytest.mark.parametrize(
    ("mode", "form", "options"),
    [
        ("RGB", "PNG", {"compress_level": 1}),
        ("RGBA", "PNG", {"compress_level": 1}),
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
    ],
)
def test_an_honest_picture_of_a_hundred_megapixels_is_read(
    tmp_path: Path, media: ConfinedDecoders, sandbox: Sandbox, mode: str, form: str, options: dict[str, object]
) -> None:
    Image.new(mode, (10_000, 10_000), (200, 100, 50, 250)[: len(mode)]).save(tmp_path / "in", form, **options)
    assert max(media.picture(tmp_path / "in", FIELD).rgb.shape) <= 4_096
    assert sandbox.ended is not None and sandbox.ended.peak_bytes < GIGABYTE
