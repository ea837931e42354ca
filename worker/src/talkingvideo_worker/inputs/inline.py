"""Inputs written into the resource itself: ``data:`` (RFC 2397)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from talkingvideo_api.uris import MAX_DATA_URI
from talkingvideo_worker.inputs.failures import refused

BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def read_data(uri: str, field: str) -> Iterator[bytes]:
    """Decode ``data:[type][;base64],content``. The declared type is not looked at: contents are sniffed.

    Raises:
        StageError: E_INPUT_VALIDATION for what is too long or not exactly encoded.
    """
    if len(uri) > MAX_DATA_URI:
        raise refused(
            f"A data: address may have at most {MAX_DATA_URI:,} characters; this one has {len(uri):,}.", field
        )
    head, comma, content = uri.partition(",")
    if not comma or not head.lower().startswith("data:"):
        raise refused("A data: address has the form data:[type][;base64],content; this one has no comma.", field)
    if not content.isascii() or any(character.isspace() for character in content) or BAD_ESCAPE.search(content):
        raise refused("The data: address is not correctly encoded.", field)
    plain = unquote_to_bytes(content)
    if head.lower().endswith(";base64"):
        try:
            plain = base64.b64decode(plain, validate=True)
        except binascii.Error:
            raise refused(
                "The data: address is not correct base64 (A-Z, a-z, 0-9, +, / and = at the end).", field
            ) from None
    return iter([plain])
