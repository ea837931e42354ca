"""Names that others use are names that Kubernetes accepts."""

from __future__ import annotations

import re

import pytest

from talkingvideo_api import names

KEYS = [
    *(
        value
        for name, value in vars(names).items()
        if name.startswith(("LABEL_", "ANNOTATION_")) and isinstance(value, str)
    ),
    *names.ANNOTATION_MAX_PARALLEL.values(),
]


@pytest.mark.parametrize("key", KEYS)
def test_a_label_or_annotation_has_a_valid_key(key: str) -> None:
    """https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set."""
    prefix, _, name = key.rpartition("/")
    assert names.is_object_name(prefix)
    assert len(name) <= 63
    assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?", name)


def test_no_two_of_them_have_the_same_key() -> None:
    assert {names.LABEL_CALLER, names.LABEL_BATCH, names.ANNOTATION_REQUEST} <= set(KEYS)
    assert len(set(KEYS)) == len(KEYS)
