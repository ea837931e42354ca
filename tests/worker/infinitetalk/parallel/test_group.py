"""Several processes on a CPU render what one renders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from tests.worker.infinitetalk.parallel.rendered_windows import PLAIN, Together, assembled, rendered

from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Guidance, Projection
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import published_timesteps
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import Calibration, StepCache

SKIPPING = StepCache(2.5, Calibration((1.0,), 1, 0, True))


@pytest.fixture(
    scope="module",
    params=[ParallelConfig(1, 2), ParallelConfig(2, 1), ParallelConfig(2, 2)],
    ids=["tokens", "branches", "both"],
)
def together(request: pytest.FixtureRequest) -> Iterator[Together]:
    """A group in each configuration."""
    together = assembled(request.param)
    yield together
    together.group.terminate()


@pytest.mark.parametrize("speakers", [1, 2])
@pytest.mark.parametrize("guidance", [Guidance(1, 1), Guidance(1, 2), Guidance(3, 2)], ids=["1", "2", "3"])
def test_a_group_renders_what_one_process_renders(together: Together, guidance: Guidance, speakers: int) -> None:
    assert together.agree(replace(PLAIN, guidance=guidance), speakers)


def test_projected_guidance_has_the_same_state_in_all_ranks(together: Together) -> None:
    assert together.agree(replace(PLAIN, guidance=Guidance(3, 2, Projection(norm_threshold=5.0))))


def test_skipped_steps_are_the_same_in_all_ranks(together: Together) -> None:
    caching = replace(PLAIN, guidance=Guidance(3, 2), timesteps=published_timesteps(6, 3.0), step_cache=SKIPPING)
    assert together.agree(caching, speakers=2)
    without = rendered(together.alone, replace(caching, step_cache=None))
    assert not torch.allclose(rendered(together.alone, caching)[0].latents, without[0].latents, atol=1e-3)
