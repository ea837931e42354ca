"""The description of a result: a JSON file beside the video that says what made it and which content it has."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from talkingvideo_api.plan import SOUND_NAME, Plan, PlannedChunk
from talkingvideo_api.reports import StitchReport
from talkingvideo_clients.stores.base import MissingFileError, Store
from talkingvideo_worker.stages.chunk_files import read_render_report
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import lora_files


@dataclass(frozen=True)
class Description:
    """The part of a description that stages read.

    Attributes:
        content_key: The video's; see `content_key`.
        report: The report of the stage that made the video.
    """

    content_key: str
    report: StitchReport


def content_key(context: StageContext, plan: Plan) -> str:
    """Identify the content of a result: two results with the same key are the same video."""
    consent = context.stage_input.spec.consent_reference
    document = [[chunk.key for chunk in plan.chunks], plan.files[SOUND_NAME].sha256, plan.frames, consent]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def read_description(store: Store, name: str) -> Description | None:
    """Read a description; None if there is none, or none that this release understands."""
    try:
        document = json.loads(store.read(name))
        return Description(document["contentKey"], StitchReport.model_validate(document["output"]))
    except (MissingFileError, ValueError, KeyError, TypeError, ValidationError):
        return None


def describe(context: StageContext, plan: Plan, report: StitchReport) -> str:
    """Everything that made the video as JSON, without the inputs' URIs: these may hold signatures."""
    stage_input = context.stage_input
    document: dict[str, Any] = {
        "aiGenerated": True,
        "generator": {"name": "talkingvideo", "version": version("talkingvideo-worker")},
        "object": {
            "namespace": stage_input.namespace,
            "name": stage_input.name,
            "uid": stage_input.uid,
            "revision": stage_input.revision,
        },
        "consentReference": stage_input.spec.consent_reference,
        "contentKey": content_key(context, plan),
        "output": report.to_dict(),
        "effective": stage_input.effective.to_dict() | stage_input.values.to_dict(),
        "loras": [{"source": lora.label, "scale": lora.scale} for lora in lora_files(stage_input, Path(), {})],
        "rendered": {"width": plan.width, "height": plan.height},
        "chunks": [_describe_chunk(context, chunk) for chunk in plan.chunks],
        "found": plan.found,
        "warnings": plan.warnings,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _describe_chunk(context: StageContext, chunk: PlannedChunk) -> dict[str, Any]:
    """A chunk and how it was rendered, for this or an earlier video."""
    document = {"index": chunk.index, "startFrame": chunk.start_frame, "frames": chunk.frames, "key": chunk.key}
    rendering = read_render_report(context.chunks, chunk.key)
    return document | ({"rendering": rendering} if rendering else {})
