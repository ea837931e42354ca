"""The schemas of ``input`` that workers on RunPod have, and how they are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from talkingvideo_gateway.dialects.runpod.schemas import conditions, hub, urls
from talkingvideo_gateway.dialects.runpod.schemas.schema import Schema

SCHEMAS: dict[str, Schema] = {schema.name: schema for schema in (conditions.SCHEMA, hub.SCHEMA, urls.SCHEMA)}

CONDITIONS_FIELDS = {conditions.BATCH, "cond_video", "cond_audio", "tts_audio"}
HUB_FIELDS = {"width", "height", "network_volume", "force_offload"}
HUB_PARTS = ("_base64", "_path")


def schema_of(fields: Mapping[str, Any]) -> Schema:
    """The schema that an ``input`` is written in, by fields that only one of them has."""
    if CONDITIONS_FIELDS & fields.keys():
        return conditions.SCHEMA
    if HUB_FIELDS & fields.keys() or any(part in name for name in fields for part in HUB_PARTS):
        return hub.SCHEMA
    return urls.SCHEMA
