"""Guidance, schedules, step cache, colours, pictures and noise on their own."""

from __future__ import annotations

import subprocess
import sys
import weakref
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from talkingvideo_worker.engines import infinitetalk
from talkingvideo_worker.engines.infinitetalk import Guidance, Projection, StepCache, distilled_timesteps
from talkingvideo_worker.engines.infinitetalk.colour import match_colours, palette
from talkingvideo_worker.engines.infinitetalk.conditioning.encoders import cleaned
from talkingvideo_worker.engines.infinitetalk.conditioning.pictures import covering, halves, latent_masks, speaker_masks
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch
from talkingvideo_worker.engines.infinitetalk.sampling.noise import WindowNoise
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import published_timesteps
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import EMBEDDING_480, BlockResidual, computed_steps


@pytest.mark.parametrize(
    ("text", "audio", "branches"),
    [
        (5, 4, (Branch.COND, Branch.DROP_TEXT, Branch.UNCOND)),
        (5, 1, (Branch.COND, Branch.DROP_TEXT)),
        (1, 2, (Branch.COND, Branch.DROP_AUDIO)),
        (1, 1, (Branch.COND,)),
    ],
)
@pytest.mark.parametrize("projection", [None, Projection()])
def test_only_the_branches_that_count_are_called(
    text: float, audio: float, branches: tuple[Branch, ...], projection: Projection | None
) -> None:
    guidance = Guidance(text, audio, projection)
    assert guidance.branches == branches
    same = torch.randn(16, 2, 3, 4)
    assert torch.allclose(guidance.combiner()(dict.fromkeys(branches, same)), same, atol=1e-5)


@pytest.mark.parametrize("projection", [None, Projection()])
@pytest.mark.parametrize(("text", "audio"), [(5, 1), (1, 1)])
def test_a_branch_that_is_not_called_would_have_changed_nothing(
    text: float, audio: float, projection: Projection | None
) -> None:
    guidance = Guidance(text, audio, projection)
    three = {branch: torch.randn(4, 3) for branch in (Branch.COND, Branch.DROP_TEXT, Branch.UNCOND)}
    called = {branch: three[branch] for branch in guidance.branches}
    assert torch.allclose(guidance.combiner()(called), guidance.combiner()(three), atol=1e-5)


def test_projected_guidance_is_orthogonal_to_the_prediction_and_bounded() -> None:
    cond, drop = torch.randn(16, 2, 3, 4), 100 * torch.randn(16, 2, 3, 4)
    guided = Guidance(1, 2, Projection(norm_threshold=3)).combiner()({Branch.COND: cond, Branch.DROP_AUDIO: drop})
    added = (guided - cond).double()
    assert abs(float((added * cond).sum())) < 1e-2
    assert 0 < float(added.norm()) <= 3.001


def test_a_schedule_has_at_least_one_step() -> None:
    for make in (published_timesteps, distilled_timesteps):
        with pytest.raises(ValueError, match="0 steps"):
            make(0, 5)


def test_the_distilled_schedule_is_the_one_the_weights_were_trained_with() -> None:
    assert distilled_timesteps(4) == pytest.approx((1000, 937.5, 833.333, 625, 0), abs=1e-3)


@given(steps=st.integers(1, 100), shift=st.floats(0.1, 20))
def test_timesteps_fall_from_1000_to_0(steps: int, shift: float) -> None:
    for timesteps in (published_timesteps(steps, shift), distilled_timesteps(steps, shift)):
        assert len(timesteps) == steps + 1
        assert timesteps[0] == pytest.approx(1000, abs=1e-3)
        assert timesteps[-1] == 0
        assert all(later < earlier for earlier, later in pairwise(timesteps))


def test_a_still_time_embedding_skips_all_but_the_forced_steps() -> None:
    assert computed_steps([0.0] * 7, StepCache(10.0)) == (True,) * 5 + (False,) * 3
    assert computed_steps([0.0] * 7, StepCache(10.0, EMBEDDING_480)) == (True, *(False,) * 6, True)
    assert computed_steps([0.0] * 7, StepCache(0.01)) == (True,) * 8


def test_a_skipped_step_adds_what_the_last_computed_one_added() -> None:
    residual, tokens = BlockResidual(), torch.randn(1, 3, 4)
    assert torch.equal(residual.computing(tokens, lambda x: x + 2), tokens + 2)
    assert torch.allclose(residual.skipping(tokens * 3, lambda x: x * 100), tokens * 3 + 2)


def test_what_the_blocks_added_before_is_gone_while_they_run_again() -> None:
    """It is as large as all tokens: 0.3 GB a branch at 640x640."""
    residual, tokens = BlockResidual(), torch.randn(1, 3, 4)
    residual.computing(tokens, lambda x: x + 2)
    assert residual.value is not None
    before = weakref.ref(residual.value)

    def blocks(x: torch.Tensor) -> torch.Tensor:
        assert before() is None
        return x + 3

    assert torch.equal(residual.computing(tokens, blocks), tokens + 3)


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


def test_colours_are_mixed_from_what_can_be_shown() -> None:
    """As the published code does, which makes 8-bit pictures on the way."""
    reference, video = torch.rand(3, 8, 8) - 0.5, torch.randn(3, 1, 8, 8)
    goal = palette(reference)
    assert torch.equal(match_colours(video, goal, 0.5), match_colours(video.clamp(-1, 1), goal, 0.5))


def test_no_colour_correction_leaves_the_frames_alone() -> None:
    video = torch.rand(3, 2, 8, 8)
    assert match_colours(video, palette(torch.rand(3, 8, 8)), 0.0) is video


@given(height=st.integers(8, 90), width=st.integers(8, 90))
def test_a_covering_picture_has_the_size_and_keeps_its_middle(height: int, width: int) -> None:
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:40, 30:50] = 255
    found = covering(picture, height, width)
    assert found.shape == (height, width, 3)
    assert found[height // 2, width // 2].min() > 200


def test_speakers_and_background_divide_the_picture() -> None:
    masks = speaker_masks(halves(100, 160), 100, 160)
    assert (masks.sum(0) == 1).all()
    assert masks[0, 50, 40]
    assert masks[1, 50, 120]
    assert masks[2, 50, 80]
    assert latent_masks(masks).shape == (3, 12, 20)


def test_noise_depends_on_seed_and_window_and_on_nothing_else() -> None:
    shape = (16, 3, 4, 4)
    noise = WindowNoise(7)
    assert torch.equal(noise(2, shape), WindowNoise(7)(2, shape))
    assert not torch.equal(noise(2, shape), noise(3, shape))
    assert not torch.equal(noise(2, shape), WindowNoise(8)(2, shape))
    assert noise(0, (16, 21, 32, 32)).std().item() == pytest.approx(1, abs=0.01)


def test_a_prompt_is_cleaned_of_entities_curly_quotes_and_white_space() -> None:
    assert cleaned("  “Tom &amp;amp; Ann”\n\ttalk ") == '"Tom & Ann" talk'


def test_the_package_is_imported_without_torch() -> None:
    code = "import sys, talkingvideo_worker.engines.infinitetalk; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", infinitetalk.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(infinitetalk, name).__name__ == name


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = infinitetalk.nothing_like_it
