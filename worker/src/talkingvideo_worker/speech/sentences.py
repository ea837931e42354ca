"""Splits a text into the paragraphs, sentences and clauses that are spoken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PARAGRAPH_END = re.compile(r"\n\s*\n")
SENTENCE_END = re.compile(r"(?<![.!?…।])[.!?…।]++[\"'”’»)\]]*+(?=\s|$)")
CLAUSE_END = re.compile(r"\s*(—|–|…|\.\.\.|[,;:](?=\s|$)|(?<=\s)-(?=\s))\s*")

ABBREVIATIONS = frozenset("dr mr mrs ms prof st sr jr no vs fig approx dept gen col capt lt sgt rev hon".split())  # noqa: SIM905
"""Words after which a full stop does not end a sentence."""

SAME_MARK = {"–": "—", "-": "—", "...": "…", "।": "."}


@dataclass(frozen=True)
class Clause:
    """A part of a sentence, and the mark after it: one of ``. ! ? , ; : — …``."""

    text: str
    mark: str


@dataclass(frozen=True)
class Sentence:
    """A sentence.

    Attributes:
        clauses: Clauses in order.
        ends_paragraph: Whether it is the last sentence of a paragraph.
    """

    clauses: tuple[Clause, ...]
    ends_paragraph: bool


def split_sentences(text: str) -> Iterator[Sentence]:
    """Split a text. Line breaks are spaces, and empty lines end a paragraph. What contains no word is left out."""
    for paragraph in PARAGRAPH_END.split(text):
        parts = _split_paragraph(" ".join(paragraph.split()))
        sentences = [clauses for part in parts if (clauses := tuple(_split_sentence(part)))]
        for number, clauses in enumerate(sentences, start=1):
            yield Sentence(clauses, ends_paragraph=number == len(sentences))


def _split_paragraph(paragraph: str) -> Iterator[str]:
    start = 0
    for end in SENTENCE_END.finditer(paragraph):
        if not _continues(paragraph[start : end.start()], end.group(), paragraph[end.end() :]):
            yield paragraph[start : end.end()].strip()
            start = end.end()
    yield paragraph[start:].strip()


def _continues(before: str, mark: str, after: str) -> bool:
    """Whether the sentence continues after a mark: after an abbreviation, an initial, or before a lower-case letter."""
    if after.lstrip()[:1].islower():
        return True
    last = before.rpartition(" ")[2].lstrip("\"'“‘«([")
    return mark == "." and (last.lower() in ABBREVIATIONS or (len(last) == 1 and last.isupper() and last != "I"))


def _split_sentence(sentence: str) -> Iterator[Clause]:
    end = SENTENCE_END.search(sentence, len(sentence.rstrip(".!?…।\"'”’»)]")))
    body, mark = (sentence[: end.start()], _mark(end.group())) if end else (sentence, ".")
    parts = CLAUSE_END.split(body)
    marks = [SAME_MARK.get(part, part) for part in parts[1::2]]
    for text, following in zip(parts[::2], [*marks, mark], strict=True):
        if any(character.isalnum() for character in text):
            yield Clause(text, following)


def _mark(marks: str) -> str:
    """The one mark that represents a sequence of marks."""
    if marks.startswith("..."):
        return "…"
    return next((mark for mark in "?!…" if mark in marks), ".")
