"""What is wrong with a document, in words: every field that a model refuses, with the name that was probably meant.

For documents that people write: the resource, and the operator's configuration. Messages never repeat a value, because
URIs may hold signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.model import Model

MAX_SHOWN = 10
"""Problems that one message lists."""

MAX_PROBLEMS = 100
"""Problems that are looked at: the operator reads objects that anybody may have made."""

UNCALLED = "default_factory_not_called"
"""pydantic's type of the error that a default was not derived because another field is wrong."""

M = TypeVar("M", bound=Model)
Types = Sequence[Any]
"""What a field may be: the members of its annotation, without None."""


@dataclass(frozen=True)
class Problem:
    """One field that cannot be used.

    Attributes:
        field: Its path, such as ``spec.speech.speakers[0].text``; empty for the document itself.
        message: What is wrong and what to do.
    """

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidDocumentError(StageError):
    """A document cannot be used as it is. As a text it lists all problems.

    Its field and message are those of the first problem: a status has room for one.

    Args:
        problems: At least one.
        where: The file and the document in it, where a message should name them.
    """

    def __init__(self, problems: Sequence[Problem], where: str = "") -> None:
        first = problems[0]
        message = f"{first.message} ({where})" if where else first.message
        super().__init__(ErrorCode.INPUT_VALIDATION, message, field=first.field or None)
        self.problems = tuple(problems)
        self.where = where

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return super().__str__()
        lines = [str(problem) for problem in self.problems[:MAX_SHOWN]]
        if more := len(self.problems) - len(lines):
            lines.append(f"and {more} more")
        return "\n  ".join([f"{len(self.problems)} fields are wrong{self.where and f' in {self.where}'}:", *lines])


def read_document(model: type[M], document: object) -> M:
    """Read a document that a person wrote: with the names of the schema, not those of Python.

    Raises:
        InvalidDocumentError: With every field that is wrong.
    """
    try:
        return model.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidDocumentError(_problems(model, error)) from error


@dataclass(frozen=True)
class _Place:
    """A place in a document.

    Attributes:
        path: Path of the field.
        types: What may be there; nothing for an unknown field.
    """

    path: str
    types: Types

    def field(self, part: int | str) -> _Place:
        """The place of one of its fields, items or values."""
        if isinstance(part, int):
            return _Place(f"{self.path}[{part}]", _item_types(self.types))
        if part == "[key]" or part in (getattr(kind, "__name__", "") for kind in self.types):
            return _Place(self.path, [kind for kind in self.types if getattr(kind, "__name__", "") == part])
        return _Place(f"{self.path}.{part}".lstrip("."), _value_types(self.types, part))


def _problems(model: type[Model], error: ValidationError) -> list[Problem]:
    """The problems of a document, without those that are consequences of others."""
    found, meant = list[Problem](), set[str]()
    details = [each for each in error.errors(include_url=False) if each["type"] != UNCALLED][:MAX_PROBLEMS]
    for each in details:
        problem, suggestion = _problem(model, each)
        found.append(problem)
        meant.add(suggestion)
    missing = {problem.field for problem, each in zip(found, details, strict=True) if each["type"] == "missing"}
    inner = {problem.field for problem in found}
    return [
        problem
        for problem in dict.fromkeys(found)
        if problem.field not in missing & meant and not any(_is_below(field, problem.field) for field in inner)
    ]


def _is_below(field: str, other: str) -> bool:
    """Whether a field is part of another one, which then fits one member of a union less badly than the others."""
    return other != "" and field.startswith((f"{other}.", f"{other}["))


def _problem(model: type[Model], error: ErrorDetails) -> tuple[Problem, str]:
    """The problem, and the path of the field that was meant instead; empty where there is none."""
    places = [_Place("", [model])]
    for part in error["loc"]:
        places.append(places[-1].field(part))
    here, message = places[-1], error["msg"].removeprefix("Value error, ")
    match error["type"]:
        case "extra_forbidden":
            meant, hint = _meant(places, str(error["loc"][-1]))
            return Problem(here.path, f"unknown field; {hint}"), meant
        case "enum":
            return Problem(here.path, f"{message}{_value_hint(here, error['input'])}"), ""
        case "model_type":
            return Problem(here.path, f"must be a mapping with the fields {', '.join(_names(here.types))}"), ""
    return Problem(here.path, message), ""


def _meant(places: Sequence[_Place], name: str) -> tuple[str, str]:
    """Path of the field that an unknown one stands for, and the hint: a sibling, or a field of this name elsewhere."""
    parent = places[-2]
    siblings = _names(parent.types)
    same = [sibling for sibling in siblings if _plain(sibling) == _plain(name)]
    elsewhere = [
        path for path in _paths(places[min(1, len(places) - 2)]) if _plain(path.rpartition(".")[2]) == _plain(name)
    ]
    if not same and len(elsewhere) == 1:
        return elsewhere[0], f"did you mean {elsewhere[0]}?"
    if close := same[0] if same else _closest(name, siblings):
        return f"{parent.path}.{close}".lstrip("."), f"did you mean {close}?"
    return "", f"the fields here are {', '.join(siblings)}"


def _value_hint(place: _Place, value: object) -> str:
    """What to do about a value. Of two numbers neither is a mistyped form of the other."""
    words = [str(member.value) for kind in _enums(place) for member in kind]
    if close := _closest(str(value), [word for word in words if re.search("[A-Za-z]", word)]):
        return f"; did you mean {close}?"
    return "; put it in quotes, YAML reads it as a number" if isinstance(value, int) else ""


def _closest(word: str, words: Sequence[str]) -> str | None:
    by_plain = {_plain(each): each for each in words}
    close = get_close_matches(_plain(word), by_plain, n=1)
    return by_plain[close[0]] if close else None


def _plain(name: str) -> str:
    """A name without what people confuse: case, and separators of words."""
    return name.casefold().replace("_", "").replace("-", "")


def _paths(place: _Place) -> Iterator[str]:
    """The paths of all fields below a place, as they are written in an object with one item in each list."""
    for name in _names(place.types):
        field = place.field(name)
        yield field.path
        yield from _paths(field)
    if items := _item_types(place.types):
        yield from _paths(_Place(f"{place.path}[0]", items))


def _names(types: Types) -> list[str]:
    """The names of the fields of the models among some types."""
    return [field.alias or name for model in _models(types) for name, field in model.model_fields.items()]


def _models(types: Types) -> Iterator[type[Model]]:
    return (kind for kind in types if isinstance(kind, type) and issubclass(kind, Model))


def _enums(place: _Place) -> Iterator[type[Enum]]:
    return (kind for kind in place.types if isinstance(kind, type) and issubclass(kind, Enum))


def _item_types(types: Types) -> Types:
    return [member for arguments in _arguments(types, list, tuple) for member in _members(arguments[0])]


def _value_types(types: Types, name: str) -> Types:
    """Types of the field or value of a name."""
    fields = (field for model in _models(types) for field in model.model_fields.values() if field.alias == name)
    annotations = [
        *(field.annotation for field in fields),
        *(arguments[1] for arguments in _arguments(types, dict, Mapping)),
    ]
    return [member for annotation in annotations for member in _members(annotation)]


def _arguments(types: Types, *origins: object) -> Iterator[tuple[Any, ...]]:
    """The arguments of the types that are made from an origin, such as those of ``list[str]``."""
    return (get_args(kind) for kind in types if get_origin(kind) in origins)


def _members(annotation: Any) -> Types:
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for each in get_args(annotation) for member in _members(each)]
    return [] if annotation is type(None) else [annotation]
