"""Effective values, and what is not supported."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.objects import video

from talkingvideo_api.effective import Effective, resolve
from talkingvideo_api.profile import Profile, S3Store, Store
from talkingvideo_api.resource import TalkingVideo
from talkingvideo_api.support import unsupported, without_effect

PROFILE = Profile(worker_image="worker:1", stores={"default": Store(s3=S3Store(bucket="media"))})


def effective(of: TalkingVideo, uid: str = "uid-1") -> Effective:
    return resolve(of.spec, PROFILE, profile_name="default", uid=uid, revision="0a1b2c3d")


@pytest.mark.parametrize(
    ("render", "resolution", "wanted"),
    [
        ({"preset": "quality"}, "480p", (40, 5.0, 4.0, 7.0)),
        ({"preset": "quality"}, "720p", (40, 5.0, 4.0, 11.0)),
        ({"preset": "fast"}, "480p", (8, 1.0, 2.0, 2.0)),
        ({"preset": "turbo"}, "480p", (4, 1.0, 1.0, 5.0)),
        ({"preset": "turbo", "steps": 6, "audioGuidance": 2}, "480p", (6, 1.0, 2.0, 5.0)),
    ],
)
def test_a_preset_gives_all_values_and_each_can_be_set_for_itself(
    render: dict[str, Any], resolution: str, wanted: tuple[float, ...]
) -> None:
    sampling = effective(video(render=render, video={"resolution": resolution})).sampling
    assert sampling is not None
    assert (sampling.steps, sampling.text_guidance, sampling.audio_guidance, sampling.shift) == wanted


def test_the_preview_engine_claims_no_diffusion_values_and_says_that_given_ones_have_no_effect() -> None:
    asked = video(engine="preview", render={"steps": 9, "seed": 3})
    values = effective(asked)
    assert values.sampling is None
    assert without_effect(asked.spec, values) == ["spec.render.steps has no effect with the preview engine"]


def test_a_drawn_seed_differs_between_objects_and_is_the_same_for_every_retry() -> None:
    asked = video(render={"seed": -1})
    first, again, other = effective(asked), effective(asked), effective(asked, uid="uid-2")
    assert first.seed == again.seed >= 0
    assert first.seed != other.seed


def test_a_seed_of_zero_is_zero() -> None:
    assert effective(video(render={"seed": 0})).seed == 0


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"engine": "infinitetalk"}, "spec.engine"),
        ({"notify": {"url": "https://example.com/"}}, "spec.notify"),
        ({"render": {"loras": [{"name": "x"}]}}, "spec.render.loras"),
        ({"chunking": {"continuity": "Chained"}}, "spec.chunking.continuity"),
    ],
)
def test_what_is_not_built_yet_is_named_by_its_field(spec: dict[str, Any], field: str) -> None:
    asked = video(**{"engine": "preview", **spec})
    assert [missing.field for missing in unsupported(asked.spec, effective(asked))] == [field]
