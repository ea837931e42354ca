"""Which of two speakers a token of the picture belongs to (InfiniteTalk's label rotary, after MultiTalk's L-RoPE).

A block's own self-attention tells how much a token looks at each speaker's region of the first latent frame. The token
takes the class it looks at most. Its query is turned by a position inside that class's range, and the keys of each
speaker's sound by the centre of theirs, so that a token hears its own speaker.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

SPEAKER_RANGES = ((0.0, 4.0), (20.0, 24.0))
"""Rotary positions of the tokens of each speaker."""

CLASSES = len(SPEAKER_RANGES) + 1
"""Regions: the first speaker's, the second's, nobody's."""

BACKGROUND = 12.0
"""Rotary position of a token that is nobody's."""


def token_masks(masks: Tensor, height: int, width: int) -> Tensor:
    """Bring masks from the latents' grid to that of the tokens.

    Args:
        masks: (classes, h, w); above 0 is inside.
        height: Rows of tokens.
        width: Columns of tokens.

    Returns:
        (classes, height * width), float32, 0 or 1.
    """
    resized = F.interpolate(masks[None].float(), size=(height, width), mode="nearest")[0]
    return (resized > 0).float().flatten(1)


def attention_to_regions(query: Tensor, key: Tensor, masks: Tensor) -> Tensor:
    """How much of its attention a token gives to the mean token of each region.

    The softmax runs over the tokens of latent frame 0 only. One attention call with the regions as values, so the
    matrix of weights need not exist; they are 0 and 1, which every format holds, and divided by their sizes afterwards.
    Values are as wide as keys, and contiguous, which is what the kernels of self-attention take; for others torch falls
    back to one that writes the matrix. Of an odd number of heads the published code leaves out the last; its model has 40.

    Args:
        query: (batch, tokens, heads, channels), after normalisation and rotary.
        key: Likewise.
        masks: (classes, S), 0 or 1, over the S tokens of latent frame 0.

    Returns:
        (batch, classes, tokens), float32: mean over the heads. A region without tokens gets 0.
    """
    batch, _, heads, channels = query.shape
    classes, sizes = len(masks), masks.sum(1).clamp(min=1)
    padded = F.pad(masks.T, (0, channels - classes)).to(query.dtype)
    values = padded.expand(batch, heads, -1, -1).contiguous()
    first_frame = key[:, : masks.shape[1]]
    seen = F.scaled_dot_product_attention(query.transpose(1, 2), first_frame.transpose(1, 2), values)
    return (seen[..., :classes].float().mean(1) / sizes).transpose(1, 2)


def rescaled(values: Tensor, low: float, high: float) -> Tensor:
    """Values stretched so that their smallest and largest (over the last axis) become ``low`` and ``high``."""
    smallest, largest = values.amin(-1, keepdim=True), values.amax(-1, keepdim=True)
    return (values - smallest) / (largest - smallest + 1e-8) * (high - low) + low


def token_positions(attention: Tensor) -> Tensor:
    """Rotary positions of the tokens.

    In float32 whatever the model's dtype: in bfloat16 positions around 22 would move in steps of 0.125.

    Args:
        attention: (batch, 3, tokens) of the first speaker, the second, and the background.

    Returns:
        (batch, tokens).
    """
    speakers = [rescaled(attention[:, i], *limits) for i, limits in enumerate(SPEAKER_RANGES)]
    candidates = torch.stack([*speakers, torch.full_like(speakers[0], BACKGROUND)], 1)
    return candidates.gather(1, attention.argmax(1, keepdim=True))[:, 0]


def key_positions(tokens: int, device: torch.device) -> Tensor:
    """Rotary positions of the sound's tokens of one latent frame, first speaker first.

    Args:
        tokens: Of one speaker.
        device: Where.

    Returns:
        (2 * tokens).
    """
    return torch.cat([torch.full((tokens,), (low + high) / 2, device=device) for low, high in SPEAKER_RANGES])
