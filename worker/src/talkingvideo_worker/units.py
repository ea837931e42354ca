"""Units of every video: frames a second, samples a second, and what one frame is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME_RATE = 25
"""Frames per second of every video, whatever the inputs' rates: the model is trained on it."""


SAMPLE_RATE = 16_000
"""Samples per second of the sound that engines hear."""


SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE


Frame = NDArray[np.uint8]
"""One picture: (height, width, 3), RGB, 0..255."""
