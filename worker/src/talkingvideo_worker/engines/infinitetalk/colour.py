"""Colour correction: each frame's mean and spread in CIE Lab are brought to those of a reference picture.

Reinhard et al., "Color Transfer between Images", 2001. Without it each window would pass its slight change of colour on
to the next. Lab after CIE 1976 with illuminant D65 (2 degrees) and sRGB primaries, by the constants of scikit-image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RGB_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
WHITE = (0.95047, 1.0, 1.08883)

FLAT = 1e-3
"""Spread in Lab below which a channel counts as constant: it is rounding noise, which must not be amplified."""


@dataclass(frozen=True)
class Palette:
    """Statistics of a picture in Lab.

    Attributes:
        mean: (3, 1, 1).
        spread: (3, 1, 1), standard deviation over all pixels.
    """

    mean: Tensor
    spread: Tensor


def palette(picture: Tensor) -> Palette:
    """Measure a picture, (3, height, width) in -1..1."""
    return _measure(_to_lab(picture))


def match_colours(video: Tensor, reference: Palette, strength: float) -> Tensor:
    """Match the colours of every frame to a reference.

    Frame by frame, because intermediate results take several times a frame's memory.

    Args:
        video: (3, frames, height, width) in -1..1.
        reference: The colours to match.
        strength: 0 (none) to 1 (full).

    Returns:
        Like ``video``.
    """
    if strength == 0:
        return video
    out = torch.empty_like(video)
    for index, frame in enumerate(video.unbind(1)):
        out[:, index] = torch.lerp(frame.clamp(-1, 1), _match(frame, reference), strength)
    return out


def _match(frame: Tensor, reference: Palette) -> Tensor:
    lab = _to_lab(frame)
    own = _measure(lab)
    flat = own.spread < FLAT
    gain = torch.where(flat, 0, reference.spread / own.spread.where(~flat, 1))
    return _to_rgb((lab - own.mean) * gain + reference.mean)


def _measure(lab: Tensor) -> Palette:
    spread, mean = torch.std_mean(lab, (1, 2), correction=0, keepdim=True)
    return Palette(mean, spread)


def _to_lab(picture: Tensor) -> Tensor:
    rgb = (picture.float() * 0.5 + 0.5).clamp(0, 1)
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = torch.einsum("ij,jhw->ihw", rgb.new_tensor(RGB_TO_XYZ), linear) / _white(rgb)
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp(min=1e-8) ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _to_rgb(lab: Tensor) -> Tensor:
    y = (lab[0] + 16) / 116
    roots = torch.stack([lab[1] / 500 + y, y, (y - lab[2] / 200).clamp(min=0)])
    xyz = torch.where(roots > 0.2068966, roots**3, (roots - 16 / 116) / 7.787) * _white(lab)
    inverse = torch.linalg.inv(torch.tensor(RGB_TO_XYZ, dtype=torch.float64)).to(lab)
    linear = torch.einsum("ij,jhw->ihw", inverse, xyz)
    rgb = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=1e-8) ** (1 / 2.4) - 0.055, 12.92 * linear)
    return rgb.clamp(0, 1) * 2 - 1


def _white(like: Tensor) -> Tensor:
    return like.new_tensor(WHITE)[:, None, None]
