"""A text is spoken in sentences and clauses."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkingvideo_worker.speech.sentences import split_sentences


def spoken(text: str) -> list[str]:
    return [
        " ".join(f"{clause.text}{clause.mark}" for clause in sentence.clauses) for sentence in split_sentences(text)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four."]),
        ("It costs 3.50 in the U.S. today, e.g. here.", ["It costs 3.50 in the U.S. today, e.g. here."]),
        ("Dr. Smith met J. R. Jones.", ["Dr. Smith met J. R. Jones."]),
        ("So am I. And you?", ["So am I.", "And you?"]),
        ("Wait… what? No... never!", ["Wait… what?", "No… never!"]),
        ("Really?! “Yes.” She left.", ["Really?", "“Yes.", "She left."]),
        ("First, then; last: done — or - not.", ["First, then; last: done— or— not."]),
        ("A well-known line\nthat goes on.", ["A well-known line that goes on."]),
        ("नमस्ते। कैसे हो?", ["नमस्ते.", "कैसे हो?"]),
        ("… !? —", []),
    ],
)
def test_sentences_end_where_a_reader_would_pause(text: str, expected: list[str]) -> None:
    assert spoken(text) == expected


def test_a_paragraph_ends_with_an_empty_line() -> None:
    ends = [sentence.ends_paragraph for sentence in split_sentences("One. Two.\n \nThree.\nFour.")]
    assert ends == [False, True, False, True]


@pytest.mark.parametrize(
    "text",
    ["A word, and another. " * 2_380, "." * 49_999 + "a", "\n " * 25_000, '"' * 50_000, "a, " * 16_666, "x" * 50_000],
    ids=["sentences", "dots", "lines", "quotes", "commas", "one word"],
)
def test_the_longest_text_takes_no_time_whatever_it_is(text: str) -> None:
    started = time.process_time()
    list(split_sentences(text))
    assert time.process_time() - started < 2


@given(text=st.text(alphabet="aB1 .,!?…—\n\"'-", max_size=80))
def test_no_word_is_lost_or_said_twice(text: str) -> None:
    told = "".join(clause.text for sentence in split_sentences(text) for clause in sentence.clauses)
    assert [letter for letter in told if letter.isalnum()] == [letter for letter in text if letter.isalnum()]
