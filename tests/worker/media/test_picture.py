from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.faces.types import Box
from talkingvideo_worker.media.picture import BACKGROUND, Picture, Rgb, fit, read_picture, write_png

FIELD = "spec.source.image.uri"

ORIENTATION = 0x0112


def render_input(width: int = 120, height: int = 80) -> Rgb:
    """Red at the left top, blue at the right, green at the bottom: no turn looks like another."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 2] = 220 * x / width
    picture[..., 1] = 220 * y / height
    picture[: height // 2, : width // 2, 0] = 200
    return picture


def saved(path: Path, image: Image.Image, form: str, **options: object) -> Path:
    image.save(path, form, **options)
    return path


def read(path: Path, limits: InputLimits) -> Picture:
    picture = read_picture(path, limits, FIELD)
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.shape[2:] == (3,)
    return picture


def refusal(path: Path, limits: InputLimits) -> str:
    with pytest.raises(StageError) as caught:
        read_picture(path, limits, FIELD)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INPUT_VALIDATION, FIELD)
    assert str(path) not in str(caught.value)
    return caught.value.message


def near(one: Rgb, other: Rgb, tolerance: float) -> bool:
    return one.shape == other.shape and float(np.abs(one.astype(int) - other).mean()) < tolerance


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("JPEG", {"quality": 95}), ("WEBP", {"lossless": True})])
def test_a_plain_picture_is_read_as_it_is(
    tmp_path: Path, limits: InputLimits, form: str, options: dict[str, object]
) -> None:
    picture = read(saved(tmp_path / "x.txt", Image.fromarray(render_input()), form, **options), limits)
    assert near(picture.rgb, render_input(), 3)
    assert picture.warnings == ()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_upright(tmp_path: Path, limits: InputLimits, form: str, orientation: int) -> None:
    turns = {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_90",
        7: "TRANSVERSE",
        8: "ROTATE_270",
    }
    stored = Image.fromarray(render_input())
    if orientation in turns:
        stored = stored.transpose(Image.Transpose[turns[orientation]])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = read(saved(tmp_path / "x", stored, form, exif=exif.tobytes(), quality=95), limits)
    assert near(picture.rgb, render_input(), 6)


def test_broken_exif_does_not_spoil_the_picture(tmp_path: Path, limits: InputLimits) -> None:
    path = saved(
        tmp_path / "x", Image.fromarray(render_input()), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 30
    )
    assert read(path, limits).rgb.shape == (80, 120, 3)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_transparency_becomes_grey_and_is_reported(tmp_path: Path, limits: InputLimits, form: str) -> None:
    rgba = np.dstack([render_input(), np.full((80, 120), 255, np.uint8)])
    rgba[:, 60:, 3] = 0
    picture = read(saved(tmp_path / "x", Image.fromarray(rgba), form, lossless=True, exact=True), limits)
    assert near(picture.rgb[:, :60], render_input()[:, :60], 1)
    assert (picture.rgb[:, 60:] == BACKGROUND).all()
    assert "transparent" in picture.warnings[0]


def test_an_opaque_alpha_channel_is_not_reported(tmp_path: Path, limits: InputLimits) -> None:
    rgba = np.dstack([render_input(), np.full((80, 120), 255, np.uint8)])
    assert read(saved(tmp_path / "x", Image.fromarray(rgba), "PNG"), limits).warnings == ()


def test_a_completely_transparent_picture_is_refused(tmp_path: Path, limits: InputLimits) -> None:
    path = saved(tmp_path / "x", Image.new("RGBA", (100, 100)), "PNG")
    assert "completely transparent" in refusal(path, limits)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "I;16", "RGBA"])
def test_every_kind_of_png_becomes_rgb(tmp_path: Path, limits: InputLimits, mode: str) -> None:
    grey = np.linspace(0, 255, 120, dtype=np.uint8)[None].repeat(80, 0)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "P":
        image = Image.fromarray(grey).convert("RGB").quantize(256)
    else:
        image = Image.fromarray(grey).convert(mode)
    picture = read(saved(tmp_path / "x", image, "PNG"), limits)
    if mode == "1":
        assert set(np.unique(picture.rgb)) == {0, 255}
    else:
        assert np.abs(picture.rgb[40, :, 1].astype(int) - grey[40]).max() <= 3


def test_a_palette_with_a_transparent_colour_is_filled(tmp_path: Path, limits: InputLimits) -> None:
    indices = np.zeros((80, 120), np.uint8)
    indices[:, 60:] = 1
    image = Image.fromarray(indices, "P")
    image.putpalette([250, 0, 0, 0, 0, 250])
    picture = read(saved(tmp_path / "x", image, "PNG", transparency=1), limits)
    assert (picture.rgb[:, 60:] == BACKGROUND).all()
    assert (picture.rgb[:, :60] == (250, 0, 0)).all()


def test_sixteen_bit_colours_keep_their_brightness(tmp_path: Path, limits: InputLimits) -> None:
    """Pillow cannot write 16-bit RGB: the file is put together by hand."""
    rows = b"".join(b"\0" + struct.pack(">3H", 0xC000, 0x8000, 0x4000) * 100 for _ in range(100))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 100, 100, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    path = tmp_path / "x"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    )
    assert np.abs(read(path, limits).rgb.astype(int) - (0xC0, 0x80, 0x40)).max() <= 1


def test_cmyk_becomes_rgb_in_the_right_sense(tmp_path: Path, limits: InputLimits) -> None:
    image = Image.fromarray(render_input()).convert("CMYK")
    picture = read(saved(tmp_path / "x", image, "JPEG", quality=95), limits)
    assert near(picture.rgb, render_input(), 12)
    assert "CMYK" in picture.warnings[0]


def test_an_embedded_profile_is_applied(tmp_path: Path, limits: InputLimits) -> None:
    """A profile with red and blue exchanged shows beyond doubt whether it was used."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    offsets = {bytes(profile[132 + 12 * n : 136 + 12 * n]): 136 + 12 * n for n in range(count)}
    red, blue = (bytes(profile[offsets[name] : offsets[name] + 8]) for name in (b"rXYZ", b"bXYZ"))
    profile[offsets[b"rXYZ"] : offsets[b"rXYZ"] + 8], profile[offsets[b"bXYZ"] : offsets[b"bXYZ"] + 8] = blue, red
    for image in (
        Image.fromarray(render_input()),
        Image.fromarray(np.dstack([render_input(), np.full((80, 120), 255, np.uint8)])),
    ):
        picture = read(saved(tmp_path / "x", image, "PNG", icc_profile=bytes(profile)), limits)
        assert near(picture.rgb, render_input()[..., ::-1], 3)
        assert picture.warnings == ()


def test_a_broken_profile_is_reported_and_ignored(tmp_path: Path, limits: InputLimits) -> None:
    path = saved(tmp_path / "x", Image.fromarray(render_input()), "PNG", icc_profile=b"no profile at all")
    picture = read(path, limits)
    assert near(picture.rgb, render_input(), 1)
    assert "profile" in picture.warnings[0]


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_used(tmp_path: Path, limits: InputLimits, form: str) -> None:
    frames = [Image.fromarray(render_input()), Image.new("RGB", (120, 80), "white")]
    picture = read(
        saved(tmp_path / "x", frames[0], form, save_all=True, append_images=frames[1:], lossless=True), limits
    )
    assert near(picture.rgb, render_input(), 1)
    assert "animated" in picture.warnings[0]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_truncated_picture_is_refused(tmp_path: Path, limits: InputLimits, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    path = saved(tmp_path / "x", Image.fromarray(noise), form)
    content = path.read_bytes()
    for part in (0.02, 0.3, 0.9):
        path.write_bytes(content[: max(33, int(len(content) * part))])
        assert "cannot be read" in refusal(path, limits)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_small_or_huge_picture_is_refused_with_its_size(tmp_path: Path, form: str) -> None:
    path = saved(tmp_path / "x", Image.fromarray(render_input()), form)
    assert "120 x 80" in refusal(path, InputLimits(pixels=9_000))
    assert read(path, InputLimits(pixels=9_600)).rgb.shape == (80, 120, 3)
    small = saved(tmp_path / "x", Image.fromarray(render_input(63, 200)), form)
    assert "63 x 200" in refusal(small, InputLimits())


@pytest.mark.parametrize("side", [20_000, 60_000])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, limits: InputLimits, side: int) -> None:
    """400 and 3,600 megapixels in 70 bytes: decoding would take seconds and gigabytes."""
    path = tmp_path / "x"
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data))
    )
    assert "megapixels" in refusal(path, limits)


def test_a_webps_size_is_checked_before_memory_is_allocated(tmp_path: Path, limits: InputLimits) -> None:
    size = 16_000
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (size - 1).to_bytes(3, "little") * 2
    path = tmp_path / "x"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    assert "256 megapixels" in refusal(path, limits)


@pytest.mark.media
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_large_picture_is_reduced_and_stays_the_same_picture(tmp_path: Path, limits: InputLimits, form: str) -> None:
    big = Image.fromarray(render_input()).resize((9000, 6000))
    picture = read(saved(tmp_path / "x", big, form, compress_level=1), limits)
    assert max(picture.rgb.shape) <= 4096
    assert "9000 x 6000" in picture.warnings[0]
    small = np.asarray(Image.fromarray(picture.rgb).resize((120, 80), Image.Resampling.BOX))
    assert near(small, render_input(), 4)


@pytest.mark.parametrize("content", [b"GIF89a" + bytes(20), b"<svg/>", b"", b"II*\0" + bytes(20), b"%PDF-1.4"])
def test_other_formats_are_refused_by_name(tmp_path: Path, limits: InputLimits, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    assert "needed" in refusal(tmp_path / "x.png", limits)


def test_a_crop_is_scaled_without_shifting(tmp_path: Path) -> None:
    picture = render_input(400, 400)
    for width, height in ((100, 50), (800, 400), (200, 100)):
        cut = fit(picture, Box(100, 200, 200, 100), width, height)
        assert cut.shape == (height, width, 3)
        reference = np.asarray(Image.fromarray(picture[200:300, 100:300]).resize((width, height), Image.Resampling.BOX))
        assert near(cut, reference, 2)
    assert np.array_equal(fit(picture, None, 400, 400), picture)


def test_fine_stripes_do_not_alias_when_reduced() -> None:
    stripes = np.zeros((300, 300, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fit(stripes, None, 70, 70).astype(int) - 128).max() < 20


def test_a_picture_comes_back_from_its_png(tmp_path: Path, limits: InputLimits) -> None:
    write_png(render_input(), tmp_path / "picture.png")
    assert np.array_equal(read(tmp_path / "picture.png", limits).rgb, render_input())
    assert [entry.name for entry in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.media
def test_the_limit_is_the_callers_not_the_librarys(tmp_path: Path) -> None:
    """Pillow's own global limit (179 megapixels) neither adds to ours nor is touched."""
    before = Image.MAX_IMAGE_PIXELS
    buffer = io.BytesIO()
    Image.new("1", (14_000, 13_000)).save(buffer, "PNG")
    (tmp_path / "x").write_bytes(buffer.getvalue())
    assert read(tmp_path / "x", InputLimits(pixels=200_000_000)).rgb.shape == (3250, 3500, 3)
    assert before == Image.MAX_IMAGE_PIXELS
