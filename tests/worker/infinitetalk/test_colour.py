"""Colour correction."""

from __future__ import annotations

import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab

from talkingvideo_worker.engines.infinitetalk.colour import match_colours, palette


def test_colours_are_matched_in_the_lab_space_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    frame, reference = rng.uniform(0.2, 0.8, (2, 12, 16, 3))
    lab, goal = rgb2lab(frame), rgb2lab(reference)
    expected = (lab - lab.mean((0, 1))) / lab.std((0, 1)) * goal.std((0, 1)) + goal.mean((0, 1))
    video = torch.from_numpy(frame).float().permute(2, 0, 1)[:, None] * 2 - 1
    target = palette(torch.from_numpy(reference).float().permute(2, 0, 1) * 2 - 1)
    found = match_colours(video, target, 1.0)[:, 0].permute(1, 2, 0) / 2 + 0.5
    np.testing.assert_allclose(found, lab2rgb(expected).clip(0, 1), atol=1e-4)


def test_a_constant_frame_becomes_the_mean_of_the_reference() -> None:
    reference = torch.rand(3, 8, 8) - 0.5
    grey = torch.full((3, 1, 8, 8), 0.123)
    found = match_colours(grey, palette(reference), 1.0)
    assert torch.allclose(palette(found[:, 0]).mean, palette(reference).mean, atol=0.1)
    assert found.flatten(2).std(2).max() < 1e-5


def test_values_are_clamped_before_colours_are_mixed() -> None:
    """As the published code does, which makes 8-bit pictures on the way."""
    reference, video = torch.rand(3, 8, 8) - 0.5, torch.randn(3, 1, 8, 8)
    goal = palette(reference)
    assert torch.equal(match_colours(video, goal, 0.5), match_colours(video.clamp(-1, 1), goal, 0.5))


def test_without_colour_correction_frames_are_unchanged() -> None:
    video = torch.rand(3, 2, 8, 8)
    assert match_colours(video, palette(torch.rand(3, 8, 8)), 0.0) is video
