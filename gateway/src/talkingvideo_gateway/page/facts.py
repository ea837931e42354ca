"""What the page must know before it asks for a video: limits, choices, and what errors mean."""

from __future__ import annotations

from typing import Any

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_api.spec import AspectRatio, Preset, Resolution
from talkingvideo_gateway.identity.caller import MEGABYTE, Caller
from talkingvideo_gateway.videos.backend import Health

REMEDIES: dict[ErrorCode, str] = {
    ErrorCode.INPUT_VALIDATION: "Change what is named, and make the video again.",
    ErrorCode.NOT_SUPPORTED: "Leave this out, and make the video again.",
    ErrorCode.OUTPUT_EXISTS: "Choose another name, or delete the other file.",
    ErrorCode.STORE_ACCESS: "Ask whoever runs this service to check the store and its credentials.",
    ErrorCode.DOWNLOAD_FAILED: "Check the address, and try again.",
    ErrorCode.WORKSPACE: "Try again: what is missing is made anew.",
    ErrorCode.UPLOAD: "Try again: finished chunks are kept.",
    ErrorCode.TIMEOUT: "Try again: finished chunks are kept. A shorter sound needs less time.",
    ErrorCode.EVICTED: "Try again: finished chunks are kept.",
    ErrorCode.NODE_LOST: "Try again: finished chunks are kept.",
    ErrorCode.OOM: "Try again, with 480p if it was 720p: finished chunks are kept.",
    ErrorCode.PIPELINE_LOAD: "Ask whoever runs this service to check the engine and its weights.",
    ErrorCode.AUDIO_EMBEDDING: "Try again, or use another recording.",
    ErrorCode.GENERATION_RUNTIME: "Try again: finished chunks are kept.",
    ErrorCode.FFMPEG: "Try again, or save the file in another format.",
    ErrorCode.INTERNAL: "Try again. If it happens again, report it with the text above.",
}
"""What somebody at the page can do; the failure's own message says what was wrong."""


def facts(caller: Caller, health: Health, *, has_parts: bool) -> dict[str, Any]:
    """The facts, as JSON.

    Args:
        caller: Whose limits they are.
        health: How what stands behind is doing.
        has_parts: Whether videos can be watched while they are being made.
    """
    return {
        "engine": health.engine,
        "ready": health.ready,
        "message": health.message,
        "has_parts": has_parts,
        "limits": {
            "picture_bytes": int(caller.limits.picture_megabytes * MEGABYTE),
            "sound_bytes": int(caller.limits.sound_megabytes * MEGABYTE),
        },
        "resolutions": [resolution.value for resolution in Resolution],
        "shapes": [shape.value for shape in AspectRatio],
        "presets": [preset.value for preset in Preset],
        "failures": {
            code.value: {"meaning": kind.meaning, "remedy": REMEDIES[code], "responsible": kind.responsible.value}
            for code, kind in ERRORS.items()
        },
    }
