"""What OpenAPI says about bodies that are read by hand."""

from __future__ import annotations

from typing import Any

from talkingvideo_gateway.dialects.videos.models import CreateVideo


def _request_body(*, required: bool) -> dict[str, Any]:
    fields = CreateVideo.model_json_schema()
    example = fields.pop("examples")[0]
    files = {
        name: {"type": "string", "contentMediaType": "application/octet-stream", "description": description}
        for name, description in (
            ("input_reference", "The picture, or a video to dub."),
            ("audio", "The recording of the first speaker."),
            ("audio_2", "The recording of the second speaker."),
        )
    }
    form = {**fields, "properties": {**fields["properties"], **files}}
    return {
        "requestBody": {
            "required": required,
            "content": {
                "application/json": {"schema": fields, "example": example},
                "multipart/form-data": {"schema": form},
            },
        }
    }


CREATE = _request_body(required=True)
REMIX = _request_body(required=False)
BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {media_type: {"schema": {"type": "string"}} for media_type in ("video/mp4", "image/jpeg")},
    },
    206: {"description": "A part of the file.", "content": {"video/mp4": {"schema": {"type": "string"}}}},
    304: {"description": "The file that the client has."},
    416: {"description": "There is no such part."},
}
