"""Validation rules between fields. The API server enforces them in CEL, pydantic in Python (for runs without a cluster)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from talkingvideo_api.model import Model

CEL_KEY = "x-kubernetes-validations"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        cel: Expression for the API server; ``self`` is the object.
        message: What ``kubectl apply`` and ``talkingvideo run`` print when it is violated.
        holds: The same rule in Python.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]


class RuledModel(Model):
    """A model with rules between its fields."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise ValueError(rule.message)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.rules:
            target = handler.resolve_ref_schema(schema)
            target[CEL_KEY] = [{"rule": rule.cel, "message": rule.message} for rule in cls.rules]
        return schema


@dataclass(frozen=True)
class Ruled:
    """Annotation of a number that has a validation rule."""

    rule: Rule

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        schema[CEL_KEY] = [{"rule": self.rule.cel, "message": self.rule.message}]
        return schema

    def _check(self, value: Any) -> Any:
        if not self.rule.holds(value):
            raise ValueError(self.rule.message)
        return value
