"""Schedules, sizes, colours, guidance, windows, rotary, routing and the step cache against the published code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.worker.infinitetalk.parity import frozen
from tests.worker.infinitetalk.parity.conftest import read_recording
from tests.worker.infinitetalk.parity.published import covering, covering_masks, mirrored
from torch import Tensor

from talkingvideo_api.spec import Resolution
from talkingvideo_worker.engines.infinitetalk import Condition, Guidance, Projection, StepCache, build_transformer
from talkingvideo_worker.engines.infinitetalk.colour import match_colours, palette
from talkingvideo_worker.engines.infinitetalk.conditioning.audio import window_indices
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import predict_velocity
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch, ProjectedCombiner
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import published_timesteps
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import (
    EMBEDDING_480,
    EMBEDDING_720,
    PROJECTION_480,
    PROJECTION_720,
    BlockResidual,
    plan_steps,
)
from talkingvideo_worker.engines.infinitetalk.transformer import attention_to_regions, frequencies, rescaled, rotate
from talkingvideo_worker.stages.prepare.sizes import BUCKETS

RECORD, ARRAYS = read_recording("misc")
MISC, TEA = frozen.MISC, frozen.TEA


@pytest.mark.parametrize(("steps", "shift"), MISC["timesteps"])
def test_timesteps(steps: int, shift: float) -> None:
    recorded = RECORD["timesteps"][f"{steps},{shift:g}"]
    np.testing.assert_allclose(published_timesteps(steps, shift), recorded, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", RECORD["buckets"])
def test_sizes(name: str) -> None:
    ours = BUCKETS[Resolution(f"{name}p")]
    recorded = RECORD["buckets"][name]
    assert [(f"{ratio:.2f}", [height, width]) for ratio, height, width in ours] == list(recorded["table"].items())
    for height, width, key, *chosen in recorded["choices"]:
        nearest = min(ours, key=lambda bucket: abs(bucket[0] - height / width))
        assert (f"{nearest[0]:.2f}", list(nearest[1:])) == (key, chosen)


@pytest.mark.parametrize("number", range(len(MISC["resize"])))
def test_pictures_and_masks_cover_the_size(number: int) -> None:
    picture, masks, (height, width) = frozen.misc_resize(MISC, number)
    found = covering(picture, height, width).transpose(2, 0, 1).astype(int)
    assert abs(found - ARRAYS[f"resize.image{number}"].astype(int)).max() <= 1
    assert (covering_masks(masks > 0, height, width) == ARRAYS[f"resize.mask{number}"]).all()


@pytest.mark.parametrize("name", [name for name in ARRAYS if name.startswith("colour.")])
def test_colours(name: str) -> None:
    frames, reference, flat = (torch.from_numpy(array) for array in frozen.misc_colour(MISC))
    kind, strength = ("flat", 1.0) if "flat" in name else ("picture", float(name.removeprefix("colour.strength")))
    goal = palette(flat if kind == "flat" else reference)
    np.testing.assert_allclose(match_colours(frames, goal, strength), ARRAYS[name], rtol=0, atol=5e-4)


GUIDANCE = {
    "cfg3_t5_a4": Guidance(5, 4),
    "cfg2_a2": Guidance(1, 2),
    "apg3_t5_a4": Guidance(5, 4, Projection()),
    "apg2_a2": Guidance(1, 2, Projection()),
}


@pytest.mark.parametrize("name", GUIDANCE)
def test_guidance_over_three_steps(name: str) -> None:
    guidance = GUIDANCE[name]
    combine = guidance.combiner()
    for step in range(3):
        values = frozen.misc_guidance(MISC, step)
        predictions = {branch: torch.from_numpy(values[branch]) for branch in guidance.branches}
        recorded = ARRAYS[f"guidance.step{step}.{name}"]
        np.testing.assert_allclose(combine(predictions), recorded, rtol=0, atol=2e-4)
        if isinstance(combine, ProjectedCombiner):
            text, audio, two_way = RECORD["guidance_direction_norms"][step]
            lengths = {"text": text, "audio": audio} if Branch.UNCOND in predictions else {"audio": two_way}
            found = {direction: float(value.norm()) for direction, value in combine._past.items()}
            assert found == pytest.approx(lengths, rel=1e-5)


def test_windows_of_features() -> None:
    spec = MISC["audio_windows"]
    for start, end in spec["chunks"]:
        found = window_indices(start, end - start, spec["length"])
        assert (found == ARRAYS[f"windows.{start}_{end}"]).all()


def test_the_last_window_has_the_reversed_end_of_the_track() -> None:
    spec = MISC["audio_windows"]
    start, end = spec["chunks"][-1]
    track = mirrored(np.arange(spec["length"], dtype=np.float32), end)
    assert (track == ARRAYS["windows.extended_track"]).all()
    found = track[window_indices(start, end - start, len(track))]
    assert (found == ARRAYS[f"windows.{start}_{end}_extended"]).all()


def test_rotary_at_fractional_positions() -> None:
    query, positions = (torch.from_numpy(array) for array in frozen.misc_rope(MISC))
    found = rotate(query, *frequencies(positions, query.shape[-1]))
    np.testing.assert_allclose(found, ARRAYS["rope.out"], rtol=0, atol=1e-5)
    for low, high in ((0, 4), (20, 24)):
        scaled = rescaled(positions, low, high)
        np.testing.assert_allclose(scaled, ARRAYS[f"rope.scaled_{low}_{high}"], rtol=0, atol=1e-5)


def test_attention_to_regions() -> None:
    query, key, masks = (torch.from_numpy(array) for array in frozen.misc_map(MISC))
    np.testing.assert_allclose(attention_to_regions(query, key, masks)[0], ARRAYS["map.out"], rtol=0, atol=1e-5)


CALIBRATIONS = {
    (480, True): PROJECTION_480,
    (720, True): PROJECTION_720,
    (480, False): EMBEDDING_480,
    (720, False): EMBEDDING_720,
}


@pytest.mark.parametrize("name", TEA["runs"])
def test_the_step_cache_skips_the_published_steps_with_the_published_results(name: str) -> None:
    run = TEA["runs"][name]
    weights = frozen.state_dict(TEA["set"], RECORD["step_cache_weights"], slow_time=True)
    transformer = build_transformer(TEA["config"], weights)
    timesteps = published_timesteps(run["steps"], run["shift"])
    recorded_steps = RECORD["step_cache"][name]["timesteps"]
    np.testing.assert_allclose(timesteps[: len(recorded_steps)], recorded_steps, rtol=0, atol=2e-3)
    cache = StepCache(run["threshold"], CALIBRATIONS[run["size"], run["on_projection"]])
    computed = plan_steps(transformer, timesteps, cache)
    assert "".join(str(int(step)) for step in computed) == RECORD["step_cache"][name]["computed"]

    inputs: dict[str, Any] = {key: torch.as_tensor(value) for key, value in frozen.dit_inputs(TEA).items()}
    encoded_audio, silent = transformer.encode_audio(inputs["audio_1"]), transformer.encode_audio(inputs["audio_zero"])
    branches = [("context", encoded_audio), ("context_null", encoded_audio), ("context_null", silent)]
    conditions = [Condition(inputs["y"], inputs["clip_fea"], inputs[text], audio) for text, audio in branches]
    residuals = [BlockResidual() for _ in branches]
    for step, runs in enumerate(computed):
        for branch, (condition, residual) in enumerate(zip(conditions, residuals, strict=True)):
            around = residual.compute if runs else residual.skip
            found: Tensor = predict_velocity(transformer, inputs["x"], timesteps[step], condition, around)
            recorded = ARRAYS[f"step_cache.{name}"][step, branch]
            np.testing.assert_allclose(found.reshape(-1)[:: math.ceil(found.numel() / 32)], recorded, rtol=0, atol=1e-4)
