"""A text in paragraphs, sentences and clauses, as they are spoken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PARAGRAPH_END = re.compile(r"\n\s*\n")
SENTENCE_END = re.compile(r"(?<![.!?…।])[.!?…।]++[\"'”’»)\]]*+(?=\s|$)")
CLAUSE_END = re.compile(r"\s*(—|–|…|\.\.\.|[,;:](?=\s|$)|(?<=\s)-(?=\s))\s*")

ABBREVIATIONS = frozenset("dr mr mrs ms prof st sr jr no vs fig approx dept gen col capt lt sgt rev hon".split())  # noqa: SIM905
"""Words behind which a full stop ends no sentence."""

SAME_MARK = {"–": "—", "-": "—", "...": "…", "।": "."}


@dataclass(frozen=True)
class Clause:
    """A part of a sentence and the mark behind it: one of ``. ! ? , ; : — …``."""

    text: str
    mark: str


@dataclass(frozen=True)
class Sentence:
    """A sentence.

    Attributes:
        clauses: In order.
        ends_paragraph: Whether a paragraph ends with it.
    """

    clauses: tuple[Clause, ...]
    ends_paragraph: bool


def sentences(text: str) -> Iterator[Sentence]:
    """Divide a text. Line breaks are spaces, empty lines end a paragraph; what holds no word is left out."""
    for paragraph in PARAGRAPH_END.split(text):
        spoken = [clauses for whole in _divided(" ".join(paragraph.split())) if (clauses := tuple(_clauses(whole)))]
        for number, clauses in enumerate(spoken, start=1):
            yield Sentence(clauses, ends_paragraph=number == len(spoken))


def _divided(paragraph: str) -> Iterator[str]:
    start = 0
    for end in SENTENCE_END.finditer(paragraph):
        if not _goes_on(paragraph[start : end.start()], end.group(), paragraph[end.end() :]):
            yield paragraph[start : end.end()].strip()
            start = end.end()
    yield paragraph[start:].strip()


def _goes_on(before: str, mark: str, after: str) -> bool:
    """Whether a mark stands inside a sentence: an abbreviation, an initial, or a small letter follows."""
    if after.lstrip()[:1].islower():
        return True
    last = before.rpartition(" ")[2].lstrip("\"'“‘«([")
    return mark == "." and (last.lower() in ABBREVIATIONS or (len(last) == 1 and last.isupper() and last != "I"))


def _clauses(sentence: str) -> Iterator[Clause]:
    end = SENTENCE_END.search(sentence, len(sentence.rstrip(".!?…।\"'”’»)]")))
    body, mark = (sentence[: end.start()], _mark(end.group())) if end else (sentence, ".")
    parts = CLAUSE_END.split(body)
    marks = [SAME_MARK.get(part, part) for part in parts[1::2]]
    for text, behind in zip(parts[::2], [*marks, mark], strict=True):
        if any(character.isalnum() for character in text):
            yield Clause(text, behind)


def _mark(marks: str) -> str:
    """The one mark that several stand for."""
    if marks.startswith("..."):
        return "…"
    return next((mark for mark in "?!…" if mark in marks), ".")
