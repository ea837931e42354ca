"""The rendered and the delivered size of a video.

The model renders a fixed table of sizes for each resolution, all multiples of 64 (InfiniteTalk's ASPECT_RATIO_627 and
ASPECT_RATIO_960). The size with the nearest aspect ratio is rendered, and the delivered picture is cropped from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from talkingvideo_api.effective import Effective
from talkingvideo_api.spec import AspectRatio, Fit, Resolution

BUCKETS: dict[Resolution, tuple[tuple[float, int, int], ...]] = {
    Resolution.P480: (
        (0.26, 320, 1216),
        (0.38, 384, 1024),
        (0.50, 448, 896),
        (0.67, 512, 768),
        (0.82, 576, 704),
        (1.00, 640, 640),
        (1.22, 704, 576),
        (1.50, 768, 512),
        (1.86, 832, 448),
        (2.00, 896, 448),
        (2.50, 960, 384),
        (2.83, 1088, 384),
        (3.60, 1152, 320),
        (3.80, 1216, 320),
        (4.00, 1280, 320),
    ),
    Resolution.P720: (
        (0.22, 448, 2048),
        (0.29, 512, 1792),
        (0.36, 576, 1600),
        (0.45, 640, 1408),
        (0.55, 704, 1280),
        (0.63, 768, 1216),
        (0.76, 832, 1088),
        (0.88, 896, 1024),
        (1.00, 960, 960),
        (1.14, 1024, 896),
        (1.31, 1088, 832),
        (1.50, 1152, 768),
        (1.58, 1216, 768),
        (1.82, 1280, 704),
        (1.91, 1344, 704),
        (2.20, 1408, 640),
        (2.30, 1472, 640),
        (2.67, 1536, 576),
        (2.89, 1664, 576),
        (3.62, 1856, 512),
        (3.75, 1920, 512),
    ),
}
"""(height / width, height, width) in pixels; of two equally near ones the first is used."""

RATIOS = {
    AspectRatio.WIDE: Fraction(16, 9),
    AspectRatio.TALL: Fraction(9, 16),
    AspectRatio.SQUARE: Fraction(1),
    AspectRatio.PORTRAIT: Fraction(3, 4),
    AspectRatio.LANDSCAPE: Fraction(4, 3),
}


@dataclass(frozen=True)
class Size:
    """A size in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Sizes:
    """The size that is rendered, and the size that is delivered."""

    rendered: Size
    delivered: Size


def choose_sizes(effective: Effective, source: Size) -> Sizes:
    """Choose both sizes.

    Args:
        effective: The requested aspect ratio or exact size.
        source: Size of the upright source (EXIF orientation applied).
    """
    if effective.width is not None and effective.height is not None:
        exact = Size(effective.width, effective.height)
        shape = source if effective.fit is Fit.PAD else exact
        return Sizes(_nearest(effective.resolution, shape.height / shape.width), exact)
    if effective.aspect_ratio is AspectRatio.SOURCE:
        rendered = _nearest(effective.resolution, source.height / source.width)
        return Sizes(rendered, rendered)
    ratio = RATIOS[effective.aspect_ratio]
    rendered = _nearest(effective.resolution, 1 / float(ratio))
    return Sizes(rendered, _largest_inside(rendered, ratio))


def _nearest(resolution: Resolution, height_by_width: float) -> Size:
    _, height, width = min(BUCKETS[resolution], key=lambda bucket: abs(bucket[0] - height_by_width))
    return Size(width, height)


def _largest_inside(size: Size, ratio: Fraction) -> Size:
    """The largest size with an aspect ratio (width / height) and even sides that fits into another size."""
    if size.width * ratio.denominator >= size.height * ratio.numerator:
        return Size(_even(size.height * ratio), size.height)
    return Size(size.width, _even(size.width / ratio))


def _even(pixels: Fraction) -> int:
    return round(pixels / 2) * 2
