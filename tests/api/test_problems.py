"""What is wrong with a document is said field by field, with the name that was probably meant."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.objects import SMALLEST, document

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.model import Model
from talkingvideo_api.problems import MAX_SHOWN, InvalidDocumentError, read_document
from talkingvideo_api.profile import Profile
from talkingvideo_api.reports import FailureReport
from talkingvideo_api.resource import TalkingVideo

SPEECH = SMALLEST["spec"]["speech"]
AUDIO = SPEECH["speakers"][0]


def refusal(written: object, model: type[Model] = TalkingVideo) -> InvalidDocumentError:
    with pytest.raises(InvalidDocumentError) as refused:
        read_document(model, written)
    return refused.value


def problems(written: object, model: type[Model] = TalkingVideo) -> list[str]:
    return [str(problem) for problem in refusal(written, model).problems]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"sourcee": {}}, "spec.sourcee: unknown field; did you mean source?"),
        ({"negative-prompt": "x"}, "spec.negative-prompt: unknown field; did you mean negativePrompt?"),
        ({"dry_run": True}, "spec.dry_run: unknown field; did you mean dryRun?"),
        ({"render": {"step": 3}}, "spec.render.step: unknown field; did you mean steps?"),
        (
            {"render": {"loras": [{"name": "a"}, {"nmae": "b"}]}},
            "spec.render.loras[1].nmae: unknown field; did you mean name?",
        ),
        (
            {"speech": {"speakers": [{**AUDIO, "region": {"lft": 0, "top": 0, "width": 1, "height": 1}}]}},
            "spec.speech.speakers[0].region.lft: unknown field; did you mean left?",
        ),
        ({"seed": 7}, "spec.seed: unknown field; did you mean spec.render.seed?"),
        ({"text": "Hello."}, "spec.text: unknown field; did you mean spec.speech.speakers[0].text?"),
        ({"video": {"loudness": -16}}, "spec.video.loudness: unknown field; did you mean spec.output.loudness?"),
        ({"chunking": {"xyz": 1}}, "spec.chunking.xyz: unknown field; the fields here are targetSeconds,"),
    ],
)
def test_an_unknown_field_is_named_with_the_one_that_was_meant(spec: dict[str, Any], said: str) -> None:
    assert said in "\n".join(problems(document(**spec)))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"render": {"preset": "fsat"}}, "'quality', 'fast' or 'turbo'; did you mean fast?"),
        ({"render": {"preset": "Turbo"}}, "; did you mean turbo?"),
        ({"video": {"resolution": 480}}, "; did you mean 480p?"),
        ({"video": {"fit": "pad"}}, "; did you mean Pad?"),
        ({"video": {"aspectRatio": 969}}, "; put it in quotes, YAML reads it as a number"),
        ({"video": {"aspectRatio": "16:10"}}, "'3:4' or '4:3'"),
        ({"render": {"preset": "best"}}, "'quality', 'fast' or 'turbo'"),
    ],
)
def test_a_value_that_is_none_of_a_fields_is_answered_with_the_nearest(spec: dict[str, Any], said: str) -> None:
    (problem,) = problems(document(**spec))
    assert problem.endswith(said)


def test_a_text_where_fields_are_expected_is_answered_with_their_names() -> None:
    assert problems(document(source={"image": "face.png"})) == [
        "spec.source.image: must be a mapping with the fields uri, headersSecretName"
    ]


def test_a_field_is_not_missing_as_well_when_it_is_mistyped() -> None:
    written = document()
    written["spec"]["sorce"] = written["spec"].pop("source")
    written["spec"]["speech"] = {"speakes": []}
    assert problems(written) == [
        "spec.speech.speakes: unknown field; did you mean speakers?",
        "spec.sorce: unknown field; did you mean source?",
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, "must be a mapping with the fields apiVersion, kind, metadata, spec, status"),
        ({**SMALLEST, "sepc": {}}, "sepc: unknown field; did you mean spec?"),
        ({**SMALLEST, "source": {}}, "source: unknown field; did you mean spec.source?"),
        ({**SMALLEST, "metadata": {}}, "metadata.name: Field required"),
    ],
)
def test_the_outermost_fields_are_fields_too(written: object, said: str) -> None:
    assert problems(written) == [said]


def test_all_problems_are_listed_and_the_first_is_what_a_status_shows() -> None:
    error = refusal(document(promt="x", render={"preset": "fsat"}))
    assert error.code is ErrorCode.INPUT_VALIDATION
    assert str(error).splitlines() == [
        "2 fields are wrong:",
        "  spec.render.preset: Input should be 'quality', 'fast' or 'turbo'; did you mean fast?",
        "  spec.promt: unknown field; did you mean prompt?",
    ]
    report = FailureReport.of(error)
    assert report.field == "spec.render.preset"
    assert "\n" not in report.message


def test_one_problem_is_one_line_with_the_document_it_is_in() -> None:
    error = InvalidDocumentError(refusal(document(promt="x")).problems, "video.yaml, document 2")
    assert str(error) == "spec.promt: unknown field; did you mean prompt? (video.yaml, document 2)"


def test_a_message_ends_somewhere() -> None:
    error = refusal(document(**{f"x{number}": 1 for number in range(2_000)}))
    assert len(str(error).splitlines()) == 1 + MAX_SHOWN + 1
    assert str(error).endswith(" more")


def test_values_are_never_repeated() -> None:
    secret = "https://example.com/?c4n4ry"
    written = document(
        source={"image": {"uri": "s3://b/k", "urls": secret}}, render={"preset": secret}, engine=[secret]
    )
    assert "c4n4ry" not in "\n".join(problems(written))


PROFILE: dict[str, Any] = {"workerImage": "w", "stores": {"default": {"s3": {"bucket": "b"}}}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"stores": {"default": {"s3": {"buckt": "b"}}}},
            "stores.default.s3.buckt: unknown field; did you mean bucket?",
        ),
        (
            {"allow": {"secrets": ["a", {"name": "b", "host": []}]}},
            "allow.secrets[1].host: unknown field; did you mean hosts?",
        ),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exist"}]}},
            "namespaceSelector.matchExpressions[0].operator: Input should be 'In', 'NotIn', 'Exists' or 'DoesNotExist'; "
            "did you mean Exists?",
        ),
    ],
)
def test_fields_in_maps_lists_and_alternatives_are_found(changes: dict[str, Any], said: str) -> None:
    assert problems(PROFILE | changes, Profile) == [said]
