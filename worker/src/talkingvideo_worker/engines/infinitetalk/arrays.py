"""What the numerical core takes wherever it says array."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = Tensor | NDArray[Any]
"""A tensor on any device or an array of numpy, of any float type."""


def as_tensor(values: Array) -> Tensor:
    """The same values as a tensor, shared where torch can share them: not those of a view that runs backwards."""
    return torch.as_tensor(np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values)
