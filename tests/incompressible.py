"""Text of which a compressed copy is hardly smaller."""

from __future__ import annotations

import base64
import random


def incompressible(characters: int, seed: int = 0) -> str:
    """Text that cannot be compressed."""
    return base64.b64encode(random.Random(seed).randbytes(characters)).decode()[:characters]
