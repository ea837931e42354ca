"""Pictures from anywhere as upright 8-bit sRGB, and masks as true and false."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from talkingvideo_api.errors import StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.files import atomic_write
from talkingvideo_worker.media import formats
from talkingvideo_worker.media.ffmpeg import describe

if TYPE_CHECKING:
    from talkingvideo_worker.faces.types import Box

Rgb = NDArray[np.uint8]
"""(height, width, 3), 0..255, sRGB."""

MIN_SIDE = 64
"""Pixels: smaller pictures contain no face that can be animated."""

MAX_ASPECT = 20
"""Longest side over shortest: more is no picture of a face, and conversions of a line need memory for a square."""

MAX_SCANS = 100
"""Scans of a progressive JPEG: encoders write about ten. Each is decoded over the whole picture."""

WEBP_PIXELS = 50_000_000
"""Pixels of a WebP: Pillow needs 16 bytes for each, four times as many as for a PNG or JPEG, and cannot reduce it before."""

WORKING_SIDE = 4_096
"""Pixels: larger pictures are reduced when they are read. Twice the longest side that a video can have."""

BACKGROUND = (128, 128, 128)
"""Replaces transparency: a neutral grey."""

READERS: dict[str, Callable[..., ImageFile]] = {
    formats.PNG: PngImageFile,
    formats.JPEG: JpegImageFile,
    formats.WEBP: WebPImageFile,
}
"""Pillow's readers by format. They are called directly: ``Image.open(formats=…)`` also refuses every picture above a limit
that is global to the process (179 megapixels), while the profile decides here."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        rgb: (height, width, 3), upright.
        warnings: Sentences about what was changed, for the report.
    """

    rgb: Rgb
    warnings: tuple[str, ...] = ()


def read_picture(path: Path, limits: InputLimits, field: str, background: tuple[int, int, int] = BACKGROUND) -> Picture:
    """Read a PNG, JPEG or WebP.

    The size is checked before anything is decoded. Pictures with a side above 4,096 pixels are reduced while or right
    after they are decoded, so that memory is bounded.

    Args:
        path: Untrusted content.
        limits: ``pixels`` is enforced.
        field: The field that named the file, for errors.
        background: Replaces transparency: RGB, 0..255.

    Raises:
        StageError: E_INPUT_VALIDATION with the reason.
    """
    label = describe(path)
    if label not in READERS:
        raise StageError.invalid(f"The file is {label}; a PNG, JPEG or WebP picture is needed.", field)
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            if label == formats.WEBP:
                _check_size(formats.webp_size(file.read(32)), min(limits.pixels, WEBP_PIXELS), field)
                file.seek(0)
            if label == formats.JPEG:
                _check_scans(path, field)
            with READERS[label](file) as image:
                _check_size(image.size, limits.pixels, field)
                return _decoded(image, field, background)
    except (StageError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise exceptions of many types for damaged files.
        raise StageError.invalid(
            f"The file looks like {label}, but cannot be read: {_reason(error)}.", field
        ) from error


def fit(rgb: Rgb, box: Box | None, width: int, height: int) -> Rgb:
    """Crop a picture and scale it.

    Args:
        rgb: (h, w, 3).
        box: Crop box in pixels, within the picture; the whole picture when None.
        width: Pixels of the result.
        height: Pixels of the result.

    Returns:
        (height, width, 3). The Lanczos filter covers the whole area that a pixel of the result represents, which avoids aliasing.
    """
    region = (box.x, box.y, box.x + box.width, box.y + box.height) if box else None
    scaled = Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS, region, reducing_gap=3.0)
    return np.asarray(scaled)


def write_png(rgb: Rgb, path: Path) -> None:
    """Write a picture as PNG; the file appears complete or not at all."""
    with atomic_write(path) as unfinished:
        Image.fromarray(rgb).save(unfinished, "PNG", compress_level=3)


def _check_size(size: tuple[int, int], pixels: int, field: str) -> None:
    width, height = size
    if width * height > pixels:
        raise StageError.invalid(
            f"The picture is {width} x {height} ({width * height / 1e6:.0f} megapixels); "
            f"the limit is {pixels / 1e6:g} megapixels.",
            field,
        )
    if min(width, height) < MIN_SIDE:
        raise StageError.invalid(
            f"The picture is {width} x {height}; it needs at least {MIN_SIDE} pixels each way.", field
        )
    check_aspect("picture", width, height, field)


def check_aspect(what: str, width: int, height: int, field: str) -> None:
    """Refuse lines.

    Raises:
        StageError: E_INPUT_VALIDATION.
    """
    if max(width, height) > MAX_ASPECT * min(width, height):
        message = (
            f"The {what} is {width} x {height} as it is shown; the longer side may be {MAX_ASPECT} times the shorter."
        )
        raise StageError.invalid(message, field)


def _check_scans(path: Path, field: str) -> None:
    scans = formats.count_jpeg_scans(path.read_bytes(), MAX_SCANS + 1)
    if scans > MAX_SCANS:
        message = f"The JPEG has more than {MAX_SCANS} scans, which take too long to decode: save it again."
        raise StageError.invalid(message, field)


def _decoded(image: ImageFile, field: str, background: tuple[int, int, int]) -> Picture:
    """Convert the file's pixels to upright sRGB. Steps that make the picture smaller come first."""
    warnings: list[str] = []
    if getattr(image, "is_animated", False):
        warnings.append("The picture is animated; its first frame is used.")
    size, profile = image.size, image.info.get("icc_profile")
    factor = -(-max(size) // WORKING_SIDE)
    image.draft(None, (size[0] // factor, size[1] // factor))
    image.load()
    upright = _upright(_reduced(image), warnings)
    if max(size) > WORKING_SIDE:
        warnings.append(f"The picture was reduced from {size[0]} x {size[1]} pixels.")
    colours, alpha = _split_alpha(upright)
    rgb = np.asarray(_in_srgb(colours, profile, warnings))
    return Picture(_over_background(rgb, alpha, background, warnings, field), tuple(warnings))


def _upright(image: Image.Image, warnings: list[str]) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:  # Many programs write invalid EXIF; the picture itself can still be used.
        warnings.append("The picture's EXIF data cannot be read; it may not be upright.")
        return image


def _reduced(image: Image.Image) -> Image.Image:
    """Reduce to the working size, in a mode whose pixels can be averaged."""
    averaged = _averageable(image)
    factor = -(-max(image.size) // WORKING_SIDE)
    return averaged.reduce(factor) if factor > 1 else averaged


def _averageable(image: Image.Image) -> Image.Image:
    """Convert palettes, bitmaps and 16-bit grey (keeping the upper 8 bits)."""
    if image.mode.startswith("I"):
        converted = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in {"P", "PA", "1"}:
        converted = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    else:
        return image
    converted.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return converted


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Rgb | None]:
    """Colours, and the alpha channel where there is one."""
    if "transparency" in image.info and image.mode in {"L", "RGB"}:
        image = image.convert("RGBA")
    if image.mode not in {"RGBA", "LA", "La", "RGBa"}:
        return image, None
    straight = image.convert("RGBA") if image.mode in {"RGBa", "La"} else image
    return straight.convert("L" if straight.mode == "LA" else "RGB"), np.asarray(straight.getchannel("A"))


def _in_srgb(image: Image.Image, profile: bytes | None, warnings: list[str]) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            warnings.append("The picture's colour profile cannot be used; its colours may be wrong.")
        else:
            assert converted is not None  # None only when converted in place
            return converted
    elif image.mode == "CMYK":
        warnings.append("The picture is CMYK without a colour profile; its colours are approximate.")
    return image.convert("RGB")


def _over_background(
    rgb: Rgb, alpha: Rgb | None, background: tuple[int, int, int], warnings: list[str], field: str
) -> Rgb:
    if alpha is None or alpha.min() == 255:
        return rgb
    if not alpha.any():
        raise StageError.invalid("The picture is completely transparent.", field)
    warnings.append("The picture's transparent areas were filled with grey.")
    filled = Image.new("RGB", (rgb.shape[1], rgb.shape[0]), background)
    filled.paste(Image.fromarray(rgb), mask=Image.fromarray(alpha))
    return np.asarray(filled)


def _reason(error: Exception) -> str:
    """A reason without the reader's own message, which may contain the file's name."""
    return "it is incomplete" if "truncated" in str(error).lower() or isinstance(error, EOFError) else "it is damaged"


Mask = NDArray[np.bool_]
"""(height, width): True on the speaker."""

RelativeBox = tuple[float, float, float, float]
"""Left, top, right and bottom edges as fractions of a picture."""

BLACK = (0, 0, 0)
"""Replaces transparency in masks."""

WHITE_LEVEL = 128
"""Pixels of at least this level are white: soft edges are cut in the middle."""


def read_mask(path: Path, limits: InputLimits, field: str) -> Mask:
    """Read a PNG, JPEG or WebP as a mask.

    Args:
        path: Untrusted content.
        limits: ``pixels`` is enforced.
        field: The field that named the file, for errors.

    Returns:
        (height, width), upright.

    Raises:
        StageError: E_INPUT_VALIDATION with the reason.
    """
    picture = read_picture(path, limits, field, background=BLACK)
    return np.asarray(Image.fromarray(picture.rgb).convert("L")) >= WHITE_LEVEL


def fit_mask(mask: Mask, crop: RelativeBox, width: int, height: int) -> Mask:
    """Crop a mask and scale it with nearest neighbours.

    Args:
        mask: (h, w).
        crop: What to keep.
        width: Pixels of the result.
        height: Pixels of the result.

    Returns:
        (height, width).
    """
    rows, columns = mask.shape
    box = (crop[0] * columns, crop[1] * rows, crop[2] * columns, crop[3] * rows)
    levels = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(levels.resize((width, height), Image.Resampling.NEAREST, box)) > 0


def write_mask(mask: Mask, path: Path) -> None:
    """Write a mask as a greyscale PNG; the file appears complete or not at all."""
    with atomic_write(path) as unfinished:
        Image.fromarray(mask.astype(np.uint8) * 255).save(unfinished, "PNG")
