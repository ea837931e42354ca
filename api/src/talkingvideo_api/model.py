"""The base of all types: camelCase in documents, snake_case in Python, unknown fields refused."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A document of the API. Attribute docstrings become the fields' descriptions (``kubectl explain``)."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", use_attribute_docstrings=True, frozen=True
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON values, with absent fields left out."""
        dumped: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return dumped

    def to_json(self) -> str:
        """Return the document as compact JSON, with absent fields left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True)
