"""Why a video ends when the API server's validation refuses a manifest of its own: the same one would be refused forever."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.model import Model
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import Failure
from talkingvideo_api.texts import truncate
from talkingvideo_operator.planning.failures import permanent_failure

MAX_MESSAGE_BYTES = 1_000

SPEC_FIELDS: Mapping[str, tuple[str, ...]] = {
    "metadata.labels": ("queue_name",),
    "spec.template.spec.nodeSelector": ("overrides", "node_selector"),
    "spec.template.spec.tolerations": ("overrides", "tolerations"),
    "spec.template.spec.imagePullSecrets": ("overrides", "image_pull_secrets"),
    "spec.template.spec.containers.resources": ("overrides", "resources"),
    "spec.template.spec.priorityClassName": ("priority",),
}
"""Paths in a Job, without indices, and the fields of a TalkingVideo's spec whose values are there."""


def refused_manifest(message: str, paths: Iterable[str], spec: TalkingVideoSpec) -> Failure:
    """The failure of a video whose manifest is invalid.

    Args:
        message: The API server's.
        paths: The paths in the manifest that it names.
        spec: The video's spec. Only fields that it sets are named: the same place may hold a value of the profile.
    """
    field = next((field for path in paths if (field := _field_of(path, spec)) is not None), None)
    sentence = f"the API server refuses what this object and its profile describe: {message}"
    return permanent_failure(ErrorCode.INPUT_VALIDATION, truncate(sentence, MAX_MESSAGE_BYTES), field)


def _field_of(path: str, spec: TalkingVideoSpec) -> str | None:
    plain = re.sub(r"\[[^\]]*\]", "", path)
    names = next((names for place, names in SPEC_FIELDS.items() if f"{plain}.".startswith(f"{place}.")), None)
    return _public_path(names, spec) if names else None


def _public_path(names: tuple[str, ...], spec: TalkingVideoSpec) -> str | None:
    """Path of a field as users write it; None where the spec does not set it."""
    value: Any = spec
    parts = ["spec"]
    for name in names:
        if not isinstance(value, Model):
            return None
        parts.append(type(value).model_fields[name].alias or name)
        value = getattr(value, name)
    return ".".join(parts) if value is not None else None
