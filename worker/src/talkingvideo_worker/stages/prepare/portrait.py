"""The portrait and the speakers' masks: the source, turned upright, cropped around the faces and scaled to the rendered size."""

from __future__ import annotations

from collections.abc import Sequence
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
from talkingvideo_worker.media.picture import Mask, fit, fit_mask, read_mask, read_picture, write_mask, write_png
from talkingvideo_worker.media.video import first_frame, normalise_video
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


def prepare_portrait(context: StageContext, folder: Path) -> PreparedPortrait:
    """Read the source and write ``picture.png`` or ``picture.mp4`` into a folder.

    Raises:
        StageError: E_INPUT_VALIDATION with the source's field.
    """
    given = source_of(context.stage_input.spec)
    if given.kind is InputKind.VIDEO:
        return _prepare_video(context, given, folder / VIDEO)
    return _prepare_picture(context, given, folder / PICTURE)


def _prepare_video(context: StageContext, given: Input, path: Path) -> PreparedPortrait:
    source, limits = input_path(context.scratch, given), context.stage_input.limits
    frame = first_frame(source, limits, given.field)
    framing = _frame(context, frame)
    rendered = framing.sizes.rendered
    video = normalise_video(source, path, rendered.width, rendered.height, framing.crop, limits, given.field)
    portrait = Portrait(path, True, rendered.width, rendered.height)
    return _prepared(portrait, framing, fit(frame, framing.crop, rendered.width, rendered.height), video.warnings)


def _prepare_picture(context: StageContext, given: Input, path: Path) -> PreparedPortrait:
    picture = read_picture(input_path(context.scratch, given), context.stage_input.limits, given.field)
    framing = _frame(context, picture.rgb)
    rendered = framing.sizes.rendered
    shown = fit(picture.rgb, framing.crop, rendered.width, rendered.height)
    write_png(shown, path)
    return _prepared(Portrait(path, False, rendered.width, rendered.height), framing, shown, picture.warnings)


@dataclass(frozen=True)
class _Framing:
    """Size of the source, the crop around its faces, and the sizes of the video."""

    source: Size
    crop: Box
    sizes: Sizes


def _frame(context: StageContext, rgb: Frame) -> _Framing:
    source = Size(rgb.shape[1], rgb.shape[0])
    sizes = choose_sizes(context.stage_input.effective, source)
    crop = crop_for(source.width, source.height, sizes.rendered.width / sizes.rendered.height, detect(rgb))
    return _Framing(source, crop, sizes)


def _prepared(portrait: Portrait, framing: _Framing, shown: Frame, warnings: Sequence[str]) -> PreparedPortrait:
    found = {
        "source": asdict(framing.source),
        "crop": asdict(framing.crop),
        "notes": list(warnings),
        "faces": asdict(describe(shown)),
    }
    return PreparedPortrait(portrait, framing.sizes, framing.source, framing.crop, found, tuple(warnings))


def write_masks(context: StageContext, portrait: PreparedPortrait, folder: Path) -> tuple[Path | None, ...]:
    """Write ``mask-<speaker>.png`` for every speaker that has a mask, cropped and scaled exactly as the portrait.

    Returns:
        The files by speaker; None for speakers without a mask.

    Raises:
        StageError: E_INPUT_VALIDATION with the mask's field, when the mask cannot be read, has another shape than the
            source, or has no white in the part that the video shows.
    """
    spec = context.stage_input.spec
    masks = (input_of(spec, InputKind.MASK, index) for index in range(len(spec.speech.speakers)))
    return tuple(None if mask is None else _write_mask(context, portrait, folder, mask) for mask in masks)


def _write_mask(context: StageContext, portrait: PreparedPortrait, folder: Path, given: Input) -> Path:
    mask = read_mask(input_path(context.scratch, given), context.stage_input.limits, given.field)
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
