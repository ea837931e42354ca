"""Units of every video: frame rate, sample rate, and the type of a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME_RATE = 25
"""Frames per second of every video, independent of the inputs: the model is trained at this rate."""


SAMPLE_RATE = 16_000
"""Samples per second of the sound that engines read."""


SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE


Frame = NDArray[np.uint8]
"""A picture: (height, width, 3), RGB, 0..255."""
