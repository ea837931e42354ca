"""Names of a video's children: valid, repeatable and different from each other, up to the largest numbers."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkingvideo_api.names import Stage, job_name, stage_input_name
from talkingvideo_api.plan import MAX_CHUNKS
from talkingvideo_api.status import MAX_ATTEMPT

UID, REVISION = "0f4a1b2c-9d8e-4f00-8000-000000000000", "0a1b2c3d"


NAMES = [
    "a",
    "a" * 37,
    "a" * 38,
    "a" * 39,
    "a" * 63,
    "a" * 253,
    "a." * 126 + "a",
    "a" * 33 + "....b",
    "a" * 35 + "-.-b",
]
ATTEMPTS = [0, 9, 10, 99, 100, 999, 1_000, MAX_ATTEMPT - 1, MAX_ATTEMPT]
CHUNKS = [0, 1, 9, 10, 99, 100, MAX_CHUNKS - 1]


def jobs_of(name: str, uid: str = UID, revision: str = REVISION) -> list[str]:
    """The names of all Jobs that a revision may have, at the ends of what is counted."""
    rendering = [job_name(name, uid, revision, Stage.RENDER, *numbers) for numbers in product(ATTEMPTS, CHUNKS)]
    others = [job_name(name, uid, revision, stage, n) for stage in (Stage.PREPARE, Stage.STITCH) for n in ATTEMPTS]
    return rendering + others


@pytest.mark.parametrize("name", NAMES)
def test_the_names_of_a_revisions_jobs_are_labels_repeat_and_differ(name: str) -> None:
    made = jobs_of(name)
    assert made == jobs_of(name)
    assert len(set(made)) == len(made)
    assert max(len(each) for each in made) <= 63


@pytest.mark.parametrize("name", NAMES)
def test_videos_of_one_name_and_revisions_of_one_video_share_no_name(name: str) -> None:
    families = [jobs_of(name), jobs_of(name, "1" + UID[1:]), jobs_of(name, revision="1" + REVISION[1:])]
    assert len({each for family in families for each in family}) == sum(len(family) for family in families)


@given(
    st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True),
    st.uuids(),
    st.sampled_from(Stage),
    st.integers(0, MAX_ATTEMPT),
    st.integers(0, MAX_CHUNKS - 1),
)
def test_a_childs_name_is_a_label_whatever_the_objects_name(
    name: str, uid: object, stage: Stage, attempt: int, chunk: int
) -> None:
    for made in (
        job_name(name, str(uid), REVISION, stage, attempt, chunk),
        stage_input_name(name, str(uid), REVISION, "0" * 64),
    ):
        assert len(made) <= 63
        assert made[0].isalnum() and made[-1].isalnum()
        assert all(character.isalnum() or character == "-" for character in made)


@pytest.mark.parametrize(
    ("stage", "attempt", "expected"),
    [
        (Stage.PREPARE, 0, "a" * 38 + "-0f4a1b2c-0a1b-prepare-0"),
        (Stage.PREPARE, 99, "a" * 38 + "-0f4a1b2c-0a1b-prepare-99"),
        (Stage.PREPARE, 100, "a" * 37 + "-0f4a1b2c-0a1b-prepare-100"),
        (Stage.RENDER, 9_999, "a" * 38 + "-0f4a1b2c-0a1b-r499-9999"),
        (Stage.STITCH, 9_999, "a" * 37 + "-0f4a1b2c-0a1b-stitch-9999"),
    ],
)
def test_only_the_objects_own_name_is_cut(stage: Stage, attempt: int, expected: str) -> None:
    assert job_name("a" * 60, UID, REVISION, stage, attempt, 499) == expected
