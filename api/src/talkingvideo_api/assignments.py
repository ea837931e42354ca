"""Fields of a document that options set: each remembers its option, so that errors can name what the user wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from talkingvideo_api.errors import StageError
from talkingvideo_api.problems import InvalidDocumentError, Problem

FIELD = re.compile(r"[A-Za-z][\w-]*(\[\d{1,3}\])*(\.[A-Za-z][\w-]*(\[\d{1,3}\])*)*", re.ASCII)
"""A path of fields and indices, such as ``spec.render.loras[0].name``."""


@dataclass(frozen=True)
class Assignment:
    """One field and what an option sets it to.

    Attributes:
        option: What the user wrote, without the value: ``--preset``, ``PICTURE``.
        field: Path of the field.
        value: The value. A text is converted to the field's type when the document is read.
    """

    option: str
    field: str
    value: object

    @property
    def path(self) -> list[str | int]:
        """The names and indices of the field's path."""
        return [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", self.field)]


def parse_assignment(text: str) -> Assignment:
    """Parse the value of ``--set``: ``spec.render.steps=20``.

    Raises:
        StageError: E_INPUT_VALIDATION with the option.
    """
    field, separator, value = text.partition("=")
    if not separator or not field.startswith("spec.") or not FIELD.fullmatch(field):
        raise StageError.invalid("give spec.FIELD=VALUE, such as spec.render.steps=20", f"--set {field}")
    return Assignment(f"--set {field}", field, value)


def assemble(assignments: Iterable[Assignment]) -> dict[str, Any]:
    """Make the document in which these fields are set.

    Raises:
        StageError: E_INPUT_VALIDATION with the option whose field is set twice, or is not the next one of its list.
    """
    document: dict[str, Any] = {}
    for assignment in assignments:
        _assign(document, assignment)
    return document


def _assign(document: dict[str, Any], assignment: Assignment) -> None:
    path = assignment.path
    place: Any = document
    last = path[-1]
    for part, following in pairwise(path):
        _require_place(place, part, assignment)
        if part not in _keys(place):
            _put(place, part, [] if isinstance(following, int) else {})
        place = place[part]
    _require_place(place, last, assignment)
    if last in _keys(place):
        raise StageError.invalid("another option sets this field, too: give one of them", assignment.option)
    _put(place, last, assignment.value)


def _require_place(place: Any, part: str | int, assignment: Assignment) -> None:
    if not isinstance(place, list if isinstance(part, int) else dict):
        raise StageError.invalid("another option sets this field to something else", assignment.option)
    if isinstance(part, int) and part > len(place):
        message = f"the list has {len(place)} entries before it: set [{len(place)}] first"
        raise StageError.invalid(message, assignment.option)


def _keys(place: Any) -> Iterable[str | int]:
    return range(len(place)) if isinstance(place, list) else place


def _put(place: Any, part: str | int, value: object) -> None:
    """Set an entry; in a list the part is its present length."""
    if isinstance(place, list):
        place.append(value)
    else:
        place[part] = value


@contextmanager
def errors_by_option(assignments: Sequence[Assignment]) -> Iterator[None]:
    """Have errors name the options that set the fields which they are about.

    Raises:
        StageError: As it was raised, with the options in place of the field.
    """
    try:
        yield
    except InvalidDocumentError as error:
        problems = [Problem(_option(problem.field, assignments), problem.message) for problem in error.problems]
        raise InvalidDocumentError(problems) from error
    except StageError as error:
        field = error.field and _option(error.field, assignments)
        raise StageError(error.code, error.message, field=field, retryable=error.retryable) from error


def _option(field: str, assignments: Sequence[Assignment]) -> str:
    """The option that sets a field or the field that it is part of, or the options that set parts of it, or the field itself."""
    whole = [each.option for each in assignments if _is_part(field, each.field)]
    parts = [each.option for each in assignments if _is_part(each.field, field)]
    return ", ".join(dict.fromkeys(whole or parts)) or field


def _is_part(field: str, whole: str) -> bool:
    return field == whole or field.startswith((f"{whole}.", f"{whole}["))
