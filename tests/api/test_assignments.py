"""Fields that options set: the document that they make, and the option that an error names."""

from __future__ import annotations

import pytest

from talkingvideo_api.assignments import Assignment, assemble, errors_by_option, parse_assignment
from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.problems import InvalidDocumentError, Problem


def assignment(field: str, value: object = "x", option: str = "--option") -> Assignment:
    return Assignment(option, field, value)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("spec.render.steps=20", "spec.render.steps", "20"),
        ("spec.video.aspectRatio=16:9", "spec.video.aspectRatio", "16:9"),
        ("spec.prompt=a=b, c", "spec.prompt", "a=b, c"),
        ("spec.prompt=", "spec.prompt", ""),
        ("spec.render.loras[0].name=x", "spec.render.loras[0].name", "x"),
    ],
)
def test_the_value_begins_behind_the_first_equals_sign(text: str, field: str, value: str) -> None:
    assert parse_assignment(text) == Assignment(f"--set {field}", field, value)


@pytest.mark.parametrize(
    "text",
    ["", "=", "spec", "spec=x", "steps=3", "spec.a..b=1", "spec.a[x]=1", "spec.a[-1]=1", "spec.a[9999]=1", "spec.é=1"],
)
def test_what_is_no_path_is_answered_with_an_example(text: str) -> None:
    with pytest.raises(StageError, match=r"such as spec\.render\.steps=20"):
        parse_assignment(text)


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(StageError) as refused:
        parse_assignment("url=https://example.com/?c4n4ry")
    assert "c4n4ry" not in str(refused.value)


def test_paths_become_mappings_and_lists() -> None:
    fields = {"spec.a.b": 1, "spec.list[0].c": 2, "spec.list[1].c": 3, "spec.list[1].d": 4, "spec.names[0]": "x"}
    assert assemble(assignment(field, value) for field, value in fields.items()) == {
        "spec": {"a": {"b": 1}, "list": [{"c": 2}, {"c": 3, "d": 4}], "names": ["x"]}
    }


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("spec.a", "spec.a", "another option sets this field, too"),
        ("spec.a[0]", "spec.a[0]", "another option sets this field, too"),
        ("spec.a.b", "spec.a", "another option sets this field, too"),
        ("spec.a", "spec.a.b", "to something else"),
        ("spec.a[0]", "spec.a.b", "to something else"),
        ("spec.a.b", "spec.a[0]", "to something else"),
        ("spec.a[0]", "spec.a[2]", r"has 1 entries before it: set \[1\] first"),
    ],
)
def test_options_that_contradict_each_other_are_refused(first: str, second: str, message: str) -> None:
    with pytest.raises(StageError, match=f"^--second: .*{message}"):
        assemble([assignment(first), assignment(second, option="--second")])


ASSIGNMENTS = (
    assignment("spec.source.image.uri", option="PICTURE"),
    assignment("spec.video.aspectRatio", option="--aspect-ratio"),
    assignment("spec.video.width", option="--set spec.video.width"),
)


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("spec.source.image.uri", "PICTURE"),
        ("spec.source.image", "PICTURE"),
        ("spec.video", "--aspect-ratio, --set spec.video.width"),
        ("spec.video.width.x", "--set spec.video.width"),
        ("spec.video.height", "spec.video.height"),
        ("spec.videos", "spec.videos"),
        (None, None),
    ],
)
def test_an_error_names_the_options_of_its_field(field: str | None, named: str | None) -> None:
    with pytest.raises(StageError) as raised, errors_by_option(ASSIGNMENTS):
        raise StageError(ErrorCode.DOWNLOAD_FAILED, "It is gone.", field=field, retryable=False)
    assert (raised.value.field, raised.value.message) == (named, "It is gone.")
    assert (raised.value.code, raised.value.retryable) == (ErrorCode.DOWNLOAD_FAILED, False)


def test_each_problem_of_a_document_names_its_option() -> None:
    with pytest.raises(InvalidDocumentError) as raised, errors_by_option(ASSIGNMENTS):
        raise InvalidDocumentError([Problem("spec.video.aspectRatio", "a"), Problem("spec.source.image", "b")])
    assert [str(problem) for problem in raised.value.problems] == ["--aspect-ratio: a", "PICTURE: b"]
