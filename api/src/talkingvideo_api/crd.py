"""The CustomResourceDefinition, generated from the models.

A structural schema (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema)
has no references, no ``anyOf`` with null, and no ``additionalProperties`` beside ``properties``.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from pydantic import BaseModel

from talkingvideo_api.names import GROUP, KIND, PLURAL, SHORT_NAME, SINGULAR, VERSION
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import TalkingVideoStatus

Schema = dict[str, Any]

PRINTER_COLUMNS = [
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Progress", "type": "integer", "jsonPath": ".status.progress", "description": "Percent of the whole"},
    {"name": "Chunks", "type": "string", "jsonPath": ".status.chunks.summary", "description": "Finished of all"},
    {"name": "ETA", "type": "string", "jsonPath": ".status.estimatedCompletionTime"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Queue", "type": "integer", "jsonPath": ".status.queuePosition", "priority": 1},
    {"name": "Engine", "type": "string", "jsonPath": ".status.effective.engine", "priority": 1},
    {"name": "Output", "type": "string", "jsonPath": ".status.output.uri", "priority": 1},
]


def _structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Rewrite one node of pydantic's JSON Schema as a structural schema. No node is shared: YAML would write anchors."""
    if reference := schema.get("$ref"):
        target = deepcopy(definitions[reference.rpartition("/")[2]])
        return _structural({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    if options := schema.get("anyOf"):
        chosen = [option for option in options if option.get("type") != "null"]
        if len(chosen) != 1:
            raise ValueError(f"a union has no structural schema: {schema}")
        return _structural({**chosen[0], **{k: v for k, v in schema.items() if k != "anyOf"}}, definitions)
    kept = {k: v for k, v in schema.items() if k not in {"title", "default", "$defs", "const"}}
    if "const" in schema:
        kept["enum"] = [schema["const"]]
    if properties := kept.get("properties"):
        kept["properties"] = {name: _structural(child, definitions) for name, child in properties.items()}
        kept.pop("additionalProperties", None)
    elif isinstance(values := kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = _structural(values, definitions)
    if "items" in kept:
        kept["items"] = _structural(kept["items"], definitions)
    if "prefixItems" in kept:
        raise ValueError(f"a tuple of mixed types has no structural schema: {schema}")
    if "description" in kept:
        kept["description"] = " ".join(kept["description"].split())
    return kept


def _schema_of(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def _status_schema() -> Schema:
    schema = _schema_of(TalkingVideoStatus)
    schema["default"] = {"observedGeneration": -1}
    schema["properties"]["conditions"] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return schema


def custom_resource_definition() -> Schema:
    """Return the CustomResourceDefinition as a document for ``kubectl apply``.

    ``status`` has the default ``{observedGeneration: -1}``: kstatus considers an object without status ready, and the
    default closes the gap before the operator's first write.
    """
    root: Schema = {
        "type": "object",
        "description": "TalkingVideo is a lip-synced video of any length, made from a portrait and a voice.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _schema_of(TalkingVideoSpec),
            "status": _status_schema(),
        },
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": root},
        "subresources": {"status": {}},
        "additionalPrinterColumns": PRINTER_COLUMNS,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT_NAME],
                "categories": ["all"],
            },
            "versions": [version],
        },
    }
