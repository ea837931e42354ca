"""Timesteps: the noise levels that the sampler visits."""

from __future__ import annotations

import numpy as np

TRAINED_STEPS = 1000
"""Timesteps are noise levels (0..1) in thousandths."""

Timesteps = tuple[float, ...]
"""Descending, 1000 first and 0 last: one more than there are steps."""


def shifted(levels: np.ndarray[tuple[int], np.dtype[np.float32]], shift: float) -> Timesteps:
    """Noise levels moved towards noise: ``shift * s / (1 + (shift - 1) * s)``, in thousandths.

    Args:
        levels: Noise levels 0..1.
        shift: At least 1; larger values spend more steps at high noise.
    """
    moved = shift * levels / (1 + (shift - 1) * levels) * TRAINED_STEPS
    return tuple(float(timestep) for timestep in moved)


def published_timesteps(steps: int, shift: float) -> Timesteps:
    """The schedule of the published code: 1000 to 1 evenly, then 0, shifted, in float32.

    Its last evaluation is at a noise level near 0 and adds almost nothing, so that 4 steps are in effect 3.

    Args:
        steps: Evaluations of the model, at least 1.
        shift: See ``shifted``.
    """
    _expect_steps(steps)
    even = np.append(np.linspace(TRAINED_STEPS, 1, steps, dtype=np.float32), np.float32(0))
    return shifted(even / np.float32(TRAINED_STEPS), shift)


def distilled_timesteps(steps: int, shift: float = 5.0) -> Timesteps:
    """The schedule that step-distilled weights were trained with: 1 to 0 evenly, shifted; 1000, 937.5, 833.3, 625, 0.

    Args:
        steps: Evaluations of the model, at least 1.
        shift: See ``shifted``.
    """
    _expect_steps(steps)
    return shifted(np.linspace(1, 0, steps + 1, dtype=np.float32), shift)


def _expect_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"{steps} steps: at least one is needed")
