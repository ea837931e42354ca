"""Writes the types of the chart's values: ``python charts/values_schema.py``, a part of ``make crds``.

Helm checks every value against them before it renders anything. What becomes the operator's configuration has the types
of its models; the rest (image, pods, rights) is stated here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from talkingvideo_gateway.settings import GatewayConfig
from talkingvideo_operator.settings import OperatorConfig

Schema = dict[str, Any]

CHART = Path(__file__).parent / "talkingvideo"
AT_THE_TOP = ("profiles", "namespaces", "progressFromLogs")
"""Settings of the operator that are values of their own, because more than its configuration depends on them."""

GATEWAY_AT_THE_TOP = ("publicUrl", "namespace", "linkKey")
"""The same of the gateway; how callers authenticate is a value of its own, too, to which a configuration may add."""

TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
NAMES: Schema = {"type": "array", "items": {"type": "string"}}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
PORTS: Schema = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": 65535}}
PULL_POLICY: Schema = {"enum": ["Always", "IfNotPresent", "Never"]}
PULL_SECRETS: Schema = {
    "type": "array",
    "items": {"type": "object", "properties": {"name": TEXT}, "additionalProperties": False},
}
ACCESS_MODES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"enum": ["ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", "ReadOnlyMany"]},
}


def values_schema() -> Schema:
    """Return the JSON Schema of ``values.yaml``."""
    operator, gateway = (model.model_json_schema(by_alias=True) for model in (OperatorConfig, GatewayConfig))
    settings: Schema = {name: _without_defaults(schema) for name, schema in operator["properties"].items()}
    definitions = {
        name: _without_defaults(schema) for each in (gateway, operator) for name, schema in each["$defs"].items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart talkingvideo",
        **_closed(
            image=_closed(repository=TEXT, tag=TEXT, pullPolicy=PULL_POLICY),
            imagePullSecrets=PULL_SECRETS,
            crds=_closed(install=SWITCH),
            **{name: settings[name] for name in AT_THE_TOP},
            logLevel={"enum": ["debug", "info", "warning", "error"]},
            resources=OBJECT,
            nodeSelector=TEXTS,
            tolerations=OBJECTS,
            affinity=OBJECT,
            podAnnotations=TEXTS,
            serviceAccount=_closed(name=TEXT, annotations=TEXTS),
            config=_closed(**{name: schema for name, schema in settings.items() if name not in AT_THE_TOP}),
            gateway=_gateway({name: _without_defaults(schema) for name, schema in gateway["properties"].items()}),
            weights=_weights(),
            admissionPolicy=_closed(enabled={"enum": [True, False, "auto"]}),
            networkPolicy=_network_policy(),
            # "global" is Helm's own, for charts that have this one as a part.
            **{"global": OBJECT},
        ),
        "$defs": definitions,
    }


def _network_policy() -> Schema:
    peers = _closed(to=OBJECTS, ports=PORTS)
    return _closed(
        enabled=SWITCH,
        namespaces=NAMES,
        dns=peers,
        extraEgress=OBJECTS,
        fetchAlone=SWITCH,
        operator=_closed(apiServer=peers, ingressFrom=OBJECTS),
        gateway=_closed(ingressFrom=OBJECTS, metricsFrom=OBJECTS),
    )


def _gateway(settings: dict[str, Schema]) -> Schema:
    return _closed(
        enabled=SWITCH,
        image=_closed(repository=TEXT, tag=TEXT, pullPolicy=PULL_POLICY),
        replicas={"type": "integer", "minimum": 0},
        namespace=TEXT,
        publicUrl=settings["publicUrl"],
        authentication=_closed(
            tokens=_closed(secretName=TEXT),
            kubernetes=_closed(enabled=SWITCH, audiences=NAMES, seconds={"type": "number", "minimum": 0}),
            proxy=OBJECT,
        ),
        linkKey=_closed(secretName=TEXT, key=TEXT),
        s3=_closed(secretName=TEXT),
        config=_closed(**{name: schema for name, schema in settings.items() if name not in GATEWAY_AT_THE_TOP}),
        service=_closed(type=TEXT, port={"type": "integer", "minimum": 1, "maximum": 65535}, annotations=TEXTS),
        ingress=_closed(enabled=SWITCH, className=TEXT, host=TEXT, tlsSecretName=TEXT, annotations=TEXTS),
        scratch=TEXT,
        resources=OBJECT,
        nodeSelector=TEXTS,
        tolerations=OBJECTS,
        affinity=OBJECT,
        podAnnotations=TEXTS,
        serviceAccount=_closed(name=TEXT, annotations=TEXTS),
    )


def _weights() -> Schema:
    return _closed(
        namespaces=NAMES,
        claim=_closed(create=SWITCH, name=TEXT, size=TEXT, storageClass=TEXT, accessModes=ACCESS_MODES),
        fetch=_closed(
            enabled=SWITCH,
            image=TEXT,
            pullPolicy=PULL_POLICY,
            imagePullSecrets=PULL_SECRETS,
            parts=NAMES,
            convert=SWITCH,
            token=_closed(secretName=TEXT, key=TEXT),
            env=TEXTS,
            retries={"type": "integer", "minimum": 0},
            resources=OBJECT,
            nodeSelector=TEXTS,
            tolerations=OBJECTS,
        ),
    )


def _closed(**properties: Schema) -> Schema:
    """An object with these fields and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _without_defaults(schema: Schema) -> Schema:
    """The models' defaults would look like the chart's, which are in ``values.yaml``."""
    kept = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in kept:
        kept["properties"] = {name: _without_defaults(child) for name, child in kept["properties"].items()}
    return kept


def rendered() -> str:
    """The file's content."""
    return json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (CHART / "values.schema.json").write_text(rendered(), encoding="utf-8")
