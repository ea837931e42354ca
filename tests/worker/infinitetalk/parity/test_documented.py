"""The examples in the package's docstring, with recordings of the published code."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

import numpy as np
import torch
from tests.worker.infinitetalk.parity import frozen
from tests.worker.infinitetalk.parity.conftest import read_recording
from tests.worker.infinitetalk.parity.published import PublishedRun, covering, covering_masks, speaker_masks
from tests.worker.infinitetalk.parity.test_loop import StandInCodec, reference_frames, regions_of

from talkingvideo_worker.engines import infinitetalk
from talkingvideo_worker.engines.infinitetalk.conditioning import image, regions
from talkingvideo_worker.engines.infinitetalk.conditioning.regions import halves

PREDICTION, RUN, PICTURES = re.findall(r"::\n\n((?:    .*\n|\n)+)", infinitetalk.__doc__ or "")


def result_of(example: str, **given: Any) -> dict[str, Any]:
    """The names that an example of the docstring defines."""
    names = {name: getattr(infinitetalk, name) for name in infinitetalk.__all__} | {"torch": torch} | given
    exec(dedent(example), names)
    return names


def test_the_prediction_in_the_docstring_is_the_recorded_one() -> None:
    record, arrays = read_recording("dit")
    inputs = frozen.dit_inputs(frozen.DIT)
    found = result_of(
        PREDICTION,
        config=frozen.DIT["config"],
        weights=frozen.state_dict(frozen.DIT["set"], record["weights"]),
        windows=inputs["audio_2"],
        regions=inputs["masks_two"],
        reference=inputs["y"],
        image=inputs["clip_fea"],
        text=inputs["context"],
        latents=inputs["x"],
        timestep=inputs["t"],
    )
    np.testing.assert_allclose(found["velocity"], arrays["two_cond"], rtol=0, atol=1e-4)


def test_the_run_in_the_docstring_is_the_recorded_one() -> None:
    record, arrays = read_recording("loop")
    loop, scenario = frozen.LOOP, "i2v_clip"
    spec, stand_ins = loop["scenarios"][scenario], frozen.StandIns(loop)
    weights = frozen.state_dict(loop["set"], record["weights"])
    run = PublishedRun([stand_ins.audio(scenario, 0, spec["audio_lengths"][0])], spec["max_frames"])
    found = result_of(
        RUN,
        transformer=infinitetalk.build_transformer(loop["config"], weights),
        audio=run,
        lengths=run.window_lengths,
        frames=run.frames,
        steps=spec["steps"],
        shift=spec["shift"],
        text_scale=spec["text_scale"],
        audio_scale=spec["audio_scale"],
        projection=None,
        prompt=loop["prompt"],
        negative_prompt=loop["negative"],
        step_cache=None,
        picture=reference_frames(scenario, spec, stand_ins),
        noise=lambda window, shape: stand_ins.noise(scenario, window, shape),
        regions=None,
        codec=StandInCodec(stand_ins),
        encode_image=stand_ins.clip,
        encode_text=stand_ins.text,
    )
    np.testing.assert_allclose(frozen.sample_video(found["video"]), arrays[f"{scenario}.video"], rtol=0, atol=1e-3)


def test_the_pictures_and_regions_in_the_docstring_are_the_recorded_ones() -> None:
    scenario = "two_people"
    spec, stand_ins = frozen.LOOP["scenarios"][scenario], frozen.StandIns(frozen.LOOP)
    rows, columns = spec["src_hw"]
    expected = regions_of(spec)
    height, width = (8 * length for length in expected.shape[1:])
    masks = speaker_masks(halves(rows, columns), rows, columns)
    found = result_of(
        PICTURES,
        to_tensor=image.to_tensor,
        latent_masks=regions.latent_masks,
        pixels=covering(stand_ins.frame(scenario, spec, 0), height, width),
        masks=covering_masks(masks, height, width),
    )
    assert torch.equal(found["regions"], expected)
    assert torch.equal(found["picture"], reference_frames(scenario, spec, stand_ins)(0))
