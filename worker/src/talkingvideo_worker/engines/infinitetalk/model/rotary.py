"""Rotary position embedding with interleaved pairs, as Wan 2.1 and InfiniteTalk use it."""

from __future__ import annotations

import torch
from torch import Tensor

THETA = 10_000.0


def frequencies(positions: Tensor, channels: int, theta: float = THETA) -> tuple[Tensor, Tensor]:
    """Cosines and sines of one-dimensional positions.

    Args:
        positions: (…, n), whole or fractional.
        channels: Of one head; even.
        theta: Base of the wavelengths.

    Returns:
        Two tensors (…, n, channels), float32; both halves of a pair hold the same value.
    """
    exponents = torch.arange(0, channels, 2, dtype=torch.float32, device=positions.device) / channels
    angles = positions.float()[..., None] * theta**-exponents
    return angles.cos().repeat_interleave(2, -1), angles.sin().repeat_interleave(2, -1)


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn each pair (x1, x2) of channels by its angle: (x1 cos - x2 sin, x2 cos + x1 sin).

    Args:
        x: (…, channels).
        cosines: Broadcastable to ``x``.
        sines: Likewise.

    Returns:
        Like ``x``, in its dtype; calculated in the wider one of ``x`` and the angles.
    """
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((-second, first), -1).flatten(-2)
    return (x * cosines + turned * sines).to(x.dtype)
