"""``/v1/uploads``: files in parts, as OpenAI's Uploads API has them, or numbered ones, which can be sent again."""

from __future__ import annotations

import tempfile
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from talkingvideo_gateway.dialects.videos.body import BodyOf
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.http.dependencies import CallerOf, CallerRoute, GatewayOf
from talkingvideo_gateway.http.limits import plain_body
from talkingvideo_gateway.videos.uploads import MAX_PARTS, PendingUpload

PATH = "/v1/uploads"

router = APIRouter(tags=["uploads"], prefix=PATH, route_class=CallerRoute)

UploadId = Annotated[str, Path(max_length=64)]


class CreateUpload(BaseModel):
    """A file that will come in parts."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    bytes: Annotated[int, Field(ge=1, le=2**53)]
    """Its size."""
    filename: Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")] = ""
    mime_type: Annotated[str, Field(max_length=255)] = ""
    """Not used: what a file is, its content says."""
    purpose: Annotated[str, Field(max_length=64, pattern=r"^[^\x00]*$")] = "user_data"


class CompleteUpload(BaseModel):
    """The end of an upload."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    part_ids: (
        Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=MAX_PARTS)] | None
    ) = None
    """The parts in order. Not needed where all of them are numbered."""


class UploadedFile(BaseModel):
    """A file that requests for videos can name by its id."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class Part(BaseModel):
    """A part that is stored."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
    bytes: int


class Upload(BaseModel):
    """An upload."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled"]
    parts: list[dict[str, Any]]
    file: UploadedFile | None = None


@router.post("")
async def create(body: CreateUpload, caller: CallerOf, gateway: GatewayOf) -> Upload:
    """Announce a file that comes in parts."""
    return _answer(await gateway.uploads.create(caller, body.filename, body.bytes, body.purpose))


@router.get("/{upload_id}")
async def get(upload_id: UploadId, caller: CallerOf, gateway: GatewayOf) -> Upload:
    """An upload, with the parts that are stored."""
    return _answer(await gateway.uploads.get(caller, upload_id))


@router.post(
    "/{upload_id}/parts",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"data": {"type": "string", "contentMediaType": "application/octet-stream"}},
                        "required": ["data"],
                    }
                }
            },
        }
    },
)
async def add(upload_id: UploadId, body: BodyOf, caller: CallerOf, gateway: GatewayOf) -> Part:
    """Store a part, whose id the end of the upload names."""
    data = body.files.get("data")
    if data is None:
        raise InvalidRequestError("Send the part as a file of this name.", field="data")
    part = await gateway.uploads.add(caller, upload_id, None, data.file, data.size or 0)
    return Part(id=part.id, created_at=int(time.time()), upload_id=upload_id, bytes=part.bytes)


@router.put(
    "/{upload_id}/parts/{number}",
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {}}}},
)
async def put(
    upload_id: UploadId,
    number: Annotated[int, Path(ge=1, le=MAX_PARTS)],
    request: Request,
    caller: CallerOf,
    gateway: GatewayOf,
) -> Part:
    """Store the part of a number, from 1. Sent again, it is replaced."""
    await plain_body(request)
    await gateway.uploads.get(caller, upload_id)
    with tempfile.TemporaryFile() as content:
        async for piece in request.stream():
            content.write(piece)
        part = await gateway.uploads.add(caller, upload_id, number, content, content.tell())
    return Part(id=part.id, created_at=int(time.time()), upload_id=upload_id, bytes=part.bytes)


@router.post("/{upload_id}/complete")
async def complete(
    upload_id: UploadId, caller: CallerOf, gateway: GatewayOf, body: CompleteUpload | None = None
) -> Upload:
    """Make one file of the parts."""
    return _answer(await gateway.uploads.complete(caller, upload_id, None if body is None else body.part_ids))


@router.post("/{upload_id}/cancel")
async def cancel(upload_id: UploadId, caller: CallerOf, gateway: GatewayOf) -> Upload:
    """Delete the parts."""
    return _answer(await gateway.uploads.cancel(caller, upload_id)).model_copy(update={"status": "cancelled"})


def _answer(upload: PendingUpload) -> Upload:
    record = upload.record
    known = {
        "bytes": record.bytes,
        "created_at": record.created,
        "filename": record.filename,
        "purpose": record.purpose,
    }
    file = None if record.digest is None else UploadedFile.model_validate(known | {"id": f"file_{record.digest}"})
    return Upload(
        id=upload.id,
        bytes=record.bytes,
        created_at=record.created,
        expires_at=upload.expires,
        filename=record.filename,
        purpose=record.purpose,
        status="pending" if file is None else "completed",
        parts=[{"id": part.id, "bytes": part.bytes} for part in upload.parts],
        file=file,
    )
