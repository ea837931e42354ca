"""What the numerical core takes wherever it says array."""

from __future__ import annotations

from typing import Any, TypeAlias

from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = Tensor | NDArray[Any]
"""A tensor on any device or an array of numpy, of any float type."""
