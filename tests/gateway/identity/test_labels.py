"""Identities as label values: readable, bounded, and never the same for two."""

from __future__ import annotations

import re

import pytest

from talkingvideo_gateway.identity.labels import label_of

VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")

IDENTITIES = [
    "alice",
    "Alice",
    "a.b_c-d",
    "a" * 63,
    "a" * 64,
    "a" * 10_000,
    "kubernetes:alice",
    "kubernetes-alice",
    "kubernetes:system:serviceaccount:films:n8n",
    "kubernetes:system:serviceaccount:films-n8n:",
    "proxy:alice@example.com",
    "proxy:alice-example.com",
    "-alice",
    "alice-",
    "",
    " ",
    "älice",
    "日本",
    "alice\n",
    "../alice",
]


@pytest.mark.parametrize("identity", IDENTITIES)
def test_an_identity_becomes_a_label_value(identity: str) -> None:
    assert VALUE.fullmatch(label_of(identity))


def test_different_identities_have_different_values_and_so_have_those_that_imitate_a_value() -> None:
    known = [*IDENTITIES, *(label_of(identity) for identity in IDENTITIES if label_of(identity) != identity)]
    assert len({label_of(identity) for identity in known}) == len(known)


def test_a_plain_name_stays_readable() -> None:
    assert label_of("n8n") == "n8n"
    assert label_of("kubernetes:system:serviceaccount:films:n8n").startswith(
        "kubernetes-system-serviceaccount-films-n8n-"
    )
