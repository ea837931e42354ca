"""What the package's docstring shows is all that it takes to compare the core with recordings."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

import numpy as np
import torch
from tests.worker.infinitetalk.parity import frozen
from tests.worker.infinitetalk.parity.conftest import read_recording
from tests.worker.infinitetalk.parity.test_loop import StandInCodec, reference_of, regions_of

from talkingvideo_worker.engines import infinitetalk
from talkingvideo_worker.engines.infinitetalk.conditioning import pictures

PREDICTION, RUN, PICTURES = re.findall(r"::\n\n((?:    .*\n|\n)+)", infinitetalk.__doc__ or "")


def told(example: str, **given: Any) -> dict[str, Any]:
    """What an example of the docstring calculates."""
    names = {name: getattr(infinitetalk, name) for name in infinitetalk.__all__} | {"torch": torch} | given
    exec(dedent(example), names)
    return names


def test_the_prediction_in_the_docstring_is_the_recorded_one() -> None:
    record, arrays = read_recording("dit")
    inputs = frozen.dit_inputs(frozen.DIT)
    found = told(
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
    found = told(
        RUN,
        transformer=infinitetalk.build_transformer(loop["config"], weights),
        tracks=[stand_ins.audio(scenario, 0, spec["audio_lengths"][0])],
        max_frames=spec["max_frames"],
        steps=spec["steps"],
        shift=spec["shift"],
        text_scale=spec["text_scale"],
        audio_scale=spec["audio_scale"],
        projection=None,
        prompt=loop["prompt"],
        negative_prompt=loop["negative"],
        step_cache=None,
        picture=reference_of(scenario, spec, stand_ins),
        noise=lambda window, shape: stand_ins.noise(scenario, window, shape),
        regions=None,
        codec=StandInCodec(stand_ins),
        see=stand_ins.clip,
        read=stand_ins.text,
    )
    np.testing.assert_allclose(frozen.sample_video(found["video"]), arrays[f"{scenario}.video"], rtol=0, atol=1e-3)


def test_the_pictures_and_regions_in_the_docstring_are_the_recorded_ones() -> None:
    scenario = "two_people"
    spec, stand_ins = frozen.LOOP["scenarios"][scenario], frozen.StandIns(frozen.LOOP)
    rows, columns = spec["src_hw"]
    expected = regions_of(spec)
    height, width = (8 * length for length in expected.shape[1:])
    found = told(
        PICTURES,
        **vars(pictures),
        source=stand_ins.frame(scenario, spec, 0),
        boxes=pictures.halves(rows, columns),
        rows=rows,
        columns=columns,
        height=height,
        width=width,
    )
    assert torch.equal(found["regions"], expected)
    assert torch.equal(found["picture"], reference_of(scenario, spec, stand_ins)(0))
