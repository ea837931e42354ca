"""Guidance, schedules, step cache, colours, pictures and noise on their own."""

from __future__ import annotations

import weakref
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from talkingvideo_worker.engines.infinitetalk import Guidance, Projection, StepCache, distilled_timesteps
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import WindowNoise
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch
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
def test_only_branches_that_change_the_result_are_computed(
    text: float, audio: float, branches: tuple[Branch, ...], projection: Projection | None
) -> None:
    guidance = Guidance(text, audio, projection)
    assert guidance.branches == branches
    same = torch.randn(16, 2, 3, 4)
    assert torch.allclose(guidance.combiner()(dict.fromkeys(branches, same)), same, atol=1e-5)


@pytest.mark.parametrize("projection", [None, Projection()])
@pytest.mark.parametrize(("text", "audio"), [(5, 1), (1, 1)])
def test_omitted_branches_would_have_changed_nothing(text: float, audio: float, projection: Projection | None) -> None:
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
def test_timesteps_descend_from_1000_to_0(steps: int, shift: float) -> None:
    for timesteps in (published_timesteps(steps, shift), distilled_timesteps(steps, shift)):
        assert len(timesteps) == steps + 1
        assert timesteps[0] == pytest.approx(1000, abs=1e-3)
        assert timesteps[-1] == 0
        assert all(later < earlier for earlier, later in pairwise(timesteps))


def test_a_constant_time_embedding_skips_all_but_the_forced_steps() -> None:
    assert computed_steps([0.0] * 7, StepCache(10.0)) == (True,) * 5 + (False,) * 3
    assert computed_steps([0.0] * 7, StepCache(10.0, EMBEDDING_480)) == (True, *(False,) * 6, True)
    assert computed_steps([0.0] * 7, StepCache(0.01)) == (True,) * 8


def test_a_skipped_step_adds_what_the_last_computed_one_added() -> None:
    residual, tokens = BlockResidual(), torch.randn(1, 3, 4)
    assert torch.equal(residual.compute(tokens, lambda x: x + 2), tokens + 2)
    assert torch.allclose(residual.skip(tokens * 3, lambda x: x * 100), tokens * 3 + 2)


def test_the_old_residual_is_freed_while_the_blocks_run_again() -> None:
    """It is as large as all tokens: 0.3 GB a branch at 640x640."""
    residual, tokens = BlockResidual(), torch.randn(1, 3, 4)
    residual.compute(tokens, lambda x: x + 2)
    assert residual.value is not None
    before = weakref.ref(residual.value)

    def blocks(x: torch.Tensor) -> torch.Tensor:
        assert before() is None
        return x + 3

    assert torch.equal(residual.compute(tokens, blocks), tokens + 3)


def test_noise_depends_only_on_seed_and_window() -> None:
    shape = (16, 3, 4, 4)
    noise = WindowNoise(7)
    assert torch.equal(noise(2, shape), WindowNoise(7)(2, shape))
    assert not torch.equal(noise(2, shape), noise(3, shape))
    assert not torch.equal(noise(2, shape), WindowNoise(8)(2, shape))
    assert noise(0, (16, 21, 32, 32)).std().item() == pytest.approx(1, abs=0.01)
