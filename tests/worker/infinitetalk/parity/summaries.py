"""Comparing with what is recorded of a tensor that is not stored in full."""

from __future__ import annotations

from typing import Any

import numpy as np


def assert_matches_summary(value: Any, summary: dict[str, Any], tolerance: float) -> None:
    """Shape, mean, standard deviation, and the first and last 8 values in C order."""
    array = np.asarray(value, np.float64)
    assert list(array.shape) == summary["shape"]
    flat = array.reshape(-1)
    found = [flat.mean(), flat.std(), *flat[:8], *flat[-8:]]
    recorded = [summary["mean"], summary["std"], *summary["first8"], *summary["last8"]]
    np.testing.assert_allclose(found, recorded, rtol=0, atol=tolerance)
