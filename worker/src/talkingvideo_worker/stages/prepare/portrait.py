"""The picture or video that is made to speak: oriented, cut around the face, brought to the rendered size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from talkingvideo_api.inputs import InputKind, source_of
from talkingvideo_worker.engines.base import Portrait
from talkingvideo_worker.faces.detection import detect
from talkingvideo_worker.faces.framing import crop_for
from talkingvideo_worker.faces.report import describe
from talkingvideo_worker.faces.types import Box
from talkingvideo_worker.media.picture import fit, read_picture, write_png
from talkingvideo_worker.media.video import first_frame, normalise_video
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.folders import input_path
from talkingvideo_worker.stages.prepare.sizes import Size, Sizes, choose_sizes
from talkingvideo_worker.units import Frame

PICTURE = "picture.png"
VIDEO = "picture.mp4"

Region = tuple[float, float, float, float]
"""Left, top, width, height as fractions of a picture."""


@dataclass(frozen=True)
class Prepared:
    """The portrait and how it came to be.

    Attributes:
        portrait: The file, in the rendered size.
        sizes: Rendered and delivered.
        source: Size of the input as it is looked at.
        crop: What of the input is shown.
        found: For the report: the input's format, the faces.
        warnings: For the user.
    """

    portrait: Portrait
    sizes: Sizes
    source: Size
    crop: Box
    found: dict[str, Any]
    warnings: tuple[str, ...]

    @property
    def shown_part(self) -> tuple[float, float, float, float]:
        """What of the input is shown: left, top, right and bottom edge as fractions of it."""
        right, bottom = self.crop.x + self.crop.width, self.crop.y + self.crop.height
        width, height = self.source.width, self.source.height
        return self.crop.x / width, self.crop.y / height, right / width, bottom / height

    def region_in_picture(self, region: Region) -> Region:
        """A region of the input as fractions of what is shown of it, clipped to it."""
        left, top = region[0] * self.source.width - self.crop.x, region[1] * self.source.height - self.crop.y
        right, bottom = left + region[2] * self.source.width, top + region[3] * self.source.height
        x0, x1 = (min(max(edge / self.crop.width, 0.0), 1.0) for edge in (left, right))
        y0, y1 = (min(max(edge / self.crop.height, 0.0), 1.0) for edge in (top, bottom))
        return x0, y0, x1 - x0, y1 - y0


def prepare_portrait(context: StageContext, folder: Path) -> Prepared:
    """Read the source and write ``picture.png`` or ``picture.mp4`` into a folder.

    Raises:
        StageError: E_INPUT_VALIDATION, naming the source's field.
    """
    given, limits = source_of(context.stage_input.spec), context.stage_input.limits
    source, field = input_path(context.scratch, given), given.field
    if given.kind is InputKind.VIDEO:
        frame = first_frame(source, limits, field)
        size, crop, sizes = _frame_it(context, frame)
        target = folder / VIDEO
        video = normalise_video(source, target, sizes.rendered.width, sizes.rendered.height, crop, limits, field)
        notes, is_video = video.notes, True
        shown = fit(frame, crop, sizes.rendered.width, sizes.rendered.height)
    else:
        picture = read_picture(source, limits, field)
        size, crop, sizes = _frame_it(context, picture.rgb)
        shown = fit(picture.rgb, crop, sizes.rendered.width, sizes.rendered.height)
        target = folder / PICTURE
        write_png(shown, target)
        notes, is_video = picture.notes, False
    faces = describe(shown)
    found = {"source": asdict(size), "crop": asdict(crop), "notes": list(notes), "faces": asdict(faces)}
    return Prepared(
        portrait=Portrait(target, is_video, sizes.rendered.width, sizes.rendered.height),
        sizes=sizes,
        source=size,
        crop=crop,
        found=found,
        warnings=tuple(notes),
    )


def _frame_it(context: StageContext, rgb: Frame) -> tuple[Size, Box, Sizes]:
    """The input's size, the crop around its faces, and both sizes of the video."""
    size = Size(rgb.shape[1], rgb.shape[0])
    sizes = choose_sizes(context.stage_input.effective, size)
    crop = crop_for(size.width, size.height, sizes.rendered.width / sizes.rendered.height, detect(rgb))
    return size, crop, sizes
