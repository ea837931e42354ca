"""The portrait and the speakers' masks: the source, turned upright, cropped around the faces and scaled to the rendered size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import StageError
from talkingvideo_api.inputs import Input, InputKind, input_of, source_of
from talkingvideo_worker.engines.base import Portrait
from talkingvideo_worker.faces.detection import detect
from talkingvideo_worker.faces.framing import crop_for
from talkingvideo_worker.faces.report import describe
from talkingvideo_worker.faces.types import Box
from talkingvideo_worker.media.confined import ConfinedDecoders
from talkingvideo_worker.media.picture import Mask, Picture, fit, fit_mask, write_mask, write_png
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.folders import PICTURE, VIDEO, input_path
from talkingvideo_worker.stages.prepare.sizes import Size, Sizes, choose_sizes
from talkingvideo_worker.units import Frame

MAX_SHAPE_RATIO = 1.02
"""Ratio between the aspect ratios of a mask and of the source from which they are not the same picture."""

Region = tuple[float, float, float, float]
"""Left, top, width, height as fractions of a picture."""


@dataclass(frozen=True)
class PreparedPortrait:
    """The portrait and how it was made.

    Attributes:
        portrait: The file, in the rendered size.
        sizes: Rendered and delivered size.
        source: Size of the upright source.
        crop: The part of the source that is shown, in pixels.
        found: For the report: the format of the source, the faces.
        warnings: What the user should know, as sentences.
    """

    portrait: Portrait
    sizes: Sizes
    source: Size
    crop: Box
    found: dict[str, Any]
    warnings: tuple[str, ...]

    @property
    def shown_part(self) -> tuple[float, float, float, float]:
        """The part of the source that is shown: left, top, right and bottom edge as fractions of the source."""
        right, bottom = self.crop.x + self.crop.width, self.crop.y + self.crop.height
        width, height = self.source.width, self.source.height
        return self.crop.x / width, self.crop.y / height, right / width, bottom / height

    def region_in_picture(self, region: Region) -> Region:
        """Convert a region of the source to fractions of the part that is shown, clipped to that part."""
        left, top = region[0] * self.source.width - self.crop.x, region[1] * self.source.height - self.crop.y
        right, bottom = left + region[2] * self.source.width, top + region[3] * self.source.height
        x0, x1 = (min(max(edge / self.crop.width, 0.0), 1.0) for edge in (left, right))
        y0, y1 = (min(max(edge / self.crop.height, 0.0), 1.0) for edge in (top, bottom))
        return x0, y0, x1 - x0, y1 - y0


@dataclass(frozen=True)
class FramedSource:
    """The source and how it will be shown, before anything is written.

    Attributes:
        given: The input.
        rgb: The picture, or the first frame of the video: upright.
        source: Its size.
        crop: The part of it that is shown, in pixels.
        sizes: Rendered and delivered size.
        warnings: What the user should know, as sentences.
    """

    given: Input
    rgb: Frame
    source: Size
    crop: Box
    sizes: Sizes
    warnings: tuple[str, ...]


def frame_source(context: StageContext, media: ConfinedDecoders) -> FramedSource:
    """Read the source, find its faces, and choose the sizes and the crop.

    Raises:
        StageError: E_INPUT_VALIDATION with the source's field.
    """
    given = source_of(context.stage_input.spec)
    path = input_path(context.scratch, given)
    if given.kind is InputKind.VIDEO:
        picture = Picture(media.first_frame(path, given.field))
    else:
        picture = media.picture(path, given.field)
    rgb = picture.rgb
    source = Size(rgb.shape[1], rgb.shape[0])
    sizes = choose_sizes(context.stage_input.effective, source)
    crop = crop_for(source.width, source.height, sizes.rendered.width / sizes.rendered.height, detect(rgb))
    return FramedSource(given, rgb, source, crop, sizes, picture.warnings)


def write_portrait(
    context: StageContext, media: ConfinedDecoders, framed: FramedSource, frames: int, folder: Path
) -> PreparedPortrait:
    """Write ``picture.png``, or as many frames of ``picture.mp4`` as the speech lasts.

    Raises:
        StageError: E_INPUT_VALIDATION with the source's field.
    """
    rendered, given = framed.sizes.rendered, framed.given
    shown = fit(framed.rgb, framed.crop, rendered.width, rendered.height)
    is_video = given.kind is InputKind.VIDEO
    path = folder / (VIDEO if is_video else PICTURE)
    warnings = framed.warnings
    if is_video:
        size, source = (rendered.width, rendered.height), (framed.source.width, framed.source.height)
        original = input_path(context.scratch, given)
        made = media.normalise_video(original, path, size, framed.crop, source, frames, given.field)
        warnings = (*warnings, *made.warnings)
    else:
        write_png(shown, path)
    found = {
        "source": asdict(framed.source),
        "crop": asdict(framed.crop),
        "notes": list(warnings),
        "faces": asdict(describe(shown)),
    }
    portrait = Portrait(path, is_video, rendered.width, rendered.height)
    return PreparedPortrait(portrait, framed.sizes, framed.source, framed.crop, found, warnings)


def write_masks(
    context: StageContext, media: ConfinedDecoders, portrait: PreparedPortrait, folder: Path
) -> tuple[Path | None, ...]:
    """Write ``mask-<speaker>.png`` for every speaker that has a mask, cropped and scaled exactly as the portrait.

    Returns:
        The files by speaker; None for speakers without a mask.

    Raises:
        StageError: E_INPUT_VALIDATION with the mask's field, when the mask cannot be read, has another shape than the
            source, or has no white in the part that the video shows.
    """
    spec = context.stage_input.spec
    masks = (input_of(spec, InputKind.MASK, index) for index in range(len(spec.speech.speakers)))
    return tuple(None if mask is None else _write_mask(context, media, portrait, folder, mask) for mask in masks)


def _write_mask(
    context: StageContext, media: ConfinedDecoders, portrait: PreparedPortrait, folder: Path, given: Input
) -> Path:
    mask = media.mask(input_path(context.scratch, given), given.field)
    _expect_shape(mask, portrait.source, given.field)
    rendered = portrait.sizes.rendered
    shown = fit_mask(mask, portrait.shown_part, rendered.width, rendered.height)
    if not shown.any():
        message = "The mask has no white inside the part of the picture that the video shows: paint the speaker white."
        raise StageError.invalid(message, given.field)
    path = folder / f"{given.name}.png"
    write_mask(shown, path)
    return path


def _expect_shape(mask: Mask, source: Size, field: str) -> None:
    rows, columns = mask.shape
    ratio = columns * source.height / (rows * source.width)
    if max(ratio, 1 / ratio) > MAX_SHAPE_RATIO:
        message = (
            f"The mask is {columns} x {rows}, the source {source.width} x {source.height}: "
            "a mask must have the aspect ratio of the source, which it covers."
        )
        raise StageError.invalid(message, field)
