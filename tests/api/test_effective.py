"""Effective values, and what is not supported."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.objects import video

from talkingvideo_api.effective import Effective, resolve
from talkingvideo_api.profile import Profile, S3Store, Store
from talkingvideo_api.resource import TalkingVideo
from talkingvideo_api.support import unsupported, without_effect
from talkingvideo_api.values import EffectiveLora

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


@pytest.mark.parametrize(
    ("render", "wanted"),
    [
        ({"preset": "quality"}, []),
        ({"preset": "fast"}, [("Wan2.1_I2V_14B_FusionX_LoRA", 1.0)]),
        (
            {
                "preset": "turbo",
                "steps": 9,
                "loras": [{"name": "mine"}, {"uri": "s3://media/a.safetensors", "scale": 0.5}],
            },
            [("Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32", 1.0), ("mine", 1.0), (None, 0.5)],
        ),
    ],
)
def test_a_presets_lora_comes_first_whatever_else_is_set(render: dict[str, Any], wanted: list[Any]) -> None:
    sampling = effective(video(engine="infinitetalk", render=render)).sampling
    assert sampling is not None
    assert [(lora.name, lora.scale) for lora in sampling.loras] == wanted


def test_effective_values_do_not_say_where_a_lora_came_from() -> None:
    asked = video(engine="infinitetalk", render={"preset": "quality", "loras": [{"uri": "https://e.com/a?sig=1"}]})
    assert "sig=1" not in effective(asked).to_json()
    sampling = effective(asked).render_values(asked.spec).sampling
    assert sampling is not None
    assert sampling.loras == (EffectiveLora(index=0, scale=1.0),)


def test_the_preview_engine_claims_no_diffusion_values_and_says_that_given_ones_have_no_effect() -> None:
    asked = video(engine="preview", render={"steps": 9, "seed": 3})
    values = effective(asked)
    assert values.sampling is None
    assert without_effect(asked.spec, values) == ["spec.render.steps has no effect with the preview engine"]
    with_lora = video(engine="preview", render={"loras": [{"name": "x"}]})
    assert without_effect(with_lora.spec, values) == ["spec.render.loras has no effect with the preview engine"]
    with_gpus = video(engine="preview", render={"gpusPerChunk": 2})
    assert without_effect(with_gpus.spec, values) == ["spec.render.gpusPerChunk has no effect with the preview engine"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("teaCache", {}), ("apg", {"momentum": 0.1}), ("memory", {"quantization": "FP8"})],
)
def test_the_preview_engine_ignores_nothing_silently(field: str, value: dict[str, Any]) -> None:
    asked = video(engine="preview", render={field: value})
    assert without_effect(asked.spec, effective(asked)) == [
        f"spec.render.{field} has no effect with the preview engine"
    ]


def test_chaining_is_no_matter_of_the_preview_engine() -> None:
    asked = video(engine="preview", chunking={"continuity": "Chained"})
    (warning,) = without_effect(asked.spec, effective(asked))
    assert warning.startswith("spec.chunking.continuity has no effect with the preview engine")
    real = video(engine="infinitetalk", chunking={"continuity": "Chained"})
    assert without_effect(real.spec, effective(real)) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("region", {"left": 0, "top": 0, "width": 0.5, "height": 0.5}),
        ("mask", {"uri": "s3://media/mask.png"}),
    ],
)
def test_the_place_of_a_lone_speaker_is_no_matter_of_infinitetalk(field: str, value: dict[str, Any]) -> None:
    speaker = {"audio": {"uri": "s3://media/a.wav"}, field: value}
    alone = video(engine="infinitetalk", speech={"speakers": [speaker]})
    (warning,) = without_effect(alone.spec, effective(alone))
    assert warning.startswith(f"spec.speech.speakers[0].{field} has no effect with one speaker")
    preview = video(engine="preview", speech={"speakers": [speaker]})
    assert without_effect(preview.spec, effective(preview)) == []
    two = video(engine="infinitetalk", speech={"speakers": [speaker, {"text": "Hello."}]})
    assert without_effect(two.spec, effective(two)) == []


def test_effective_values_and_prompts_make_the_values_to_render_by() -> None:
    asked = video(engine="infinitetalk", prompt="sings", negativePrompt="", render={"seed": 3})
    values = effective(asked).render_values(asked.spec)
    assert (values.prompt, values.negative_prompt, values.seed) == ("sings", "", 3)
    assert effective(video()).render_values(video().spec).prompt == "A person talking naturally"


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
        ({"engine": "another"}, "spec.engine"),
        ({"notify": {"url": "https://example.com/"}}, "spec.notify"),
    ],
)
def test_what_is_not_built_yet_is_named_by_its_field(spec: dict[str, Any], field: str) -> None:
    asked = video(**{"engine": "preview", **spec})
    assert [missing.field for missing in unsupported(asked.spec, effective(asked), PROFILE)] == [field]


@pytest.mark.parametrize("named", [{"engine": "another"}, {"engines": ("preview", "another")}])
def test_an_engine_of_another_distribution_is_supported_where_the_profile_names_it(named: dict[str, Any]) -> None:
    profile = Profile.model_validate(PROFILE.model_dump() | named)
    asked = video(engine="another", render={"steps": 9})
    values = resolve(asked.spec, profile, profile_name="default", uid="u", revision="r")
    assert unsupported(asked.spec, values, profile) == []
    assert values.sampling is not None and values.sampling.steps == 9
    assert without_effect(asked.spec, values) == []


AUDIO = {"audio": {"uri": "s3://media/a.wav"}}
TEXT = {"text": "Hello."}


@pytest.mark.parametrize(
    ("speech", "arrangement"),
    [
        ({"speakers": [AUDIO, AUDIO]}, "Parallel"),
        ({"speakers": [AUDIO, TEXT]}, "Parallel"),
        ({"speakers": [TEXT]}, "Parallel"),
        ({"speakers": [TEXT, TEXT]}, "Sequential"),
        ({"speakers": [TEXT, TEXT], "arrangement": "Parallel"}, "Parallel"),
        ({"speakers": [AUDIO, AUDIO], "arrangement": "Sequential"}, "Sequential"),
    ],
)
def test_two_texts_are_spoken_in_turn_unless_asked_otherwise(speech: dict[str, Any], arrangement: str) -> None:
    assert effective(video(speech=speech)).arrangement.value == arrangement


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"store": "archive", "output_name": "films/{name}", "overwrite": True, "profile": "night"}, True),
        ({"seed": 7}, False),
        ({"worker_image": "worker:2"}, False),
    ],
)
def test_the_digest_tells_what_is_made_and_by_which_release_and_not_where_it_is_kept(
    changes: dict[str, Any], same: bool
) -> None:
    """A plan names the weights and the code of the release that made it: another one's worker refuses to render it."""
    values = effective(video())
    assert (values.model_copy(update=changes).digest == values.digest) is same
