"""Masks of the speakers, cut and scaled exactly as the portrait is."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.errors import StageError
from talkingvideo_api.inputs import Input, InputKind, input_of
from talkingvideo_worker.media.picture import Mask, fit_mask, read_mask, write_mask
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.folders import input_path
from talkingvideo_worker.stages.prepare.portrait import Prepared
from talkingvideo_worker.stages.prepare.sizes import Size

OTHER_SHAPE = 1.02
"""Ratio between a mask's shape and the source's from which they are no longer the same picture."""


def write_masks(context: StageContext, portrait: Prepared, folder: Path) -> tuple[Path | None, ...]:
    """Write ``mask-<speaker>.png`` in the rendered size for every speaker that has one.

    Returns:
        The files in the speakers' order; None where none was given.

    Raises:
        StageError: E_INPUT_VALIDATION, naming the mask's field, when it cannot be read, has another shape than the
            source, or shows nothing of the speaker inside the video.
    """
    spec = context.stage_input.spec
    masks = (input_of(spec, InputKind.MASK, index) for index in range(len(spec.speech.speakers)))
    return tuple(None if mask is None else _write_mask(context, portrait, folder, mask) for mask in masks)


def _write_mask(context: StageContext, portrait: Prepared, folder: Path, given: Input) -> Path:
    field = given.field
    mask = read_mask(input_path(context.scratch, given), context.stage_input.limits, field)
    _expect_shape(mask, portrait.source, field)
    rendered = portrait.sizes.rendered
    shown = fit_mask(mask, portrait.shown_part, rendered.width, rendered.height)
    if not shown.any():
        message = (
            "The mask is white nowhere inside the part of the picture that the video shows: paint the speaker white."
        )
        raise StageError.invalid(message, field)
    path = folder / f"{given.name}.png"
    write_mask(shown, path)
    return path


def _expect_shape(mask: Mask, source: Size, field: str) -> None:
    rows, columns = mask.shape
    ratio = columns * source.height / (rows * source.width)
    if max(ratio, 1 / ratio) > OTHER_SHAPE:
        message = (
            f"The mask is {columns} x {rows}, the source {source.width} x {source.height}: "
            "a mask must have the source's shape, so that it can be laid over it."
        )
        raise StageError.invalid(message, field)
