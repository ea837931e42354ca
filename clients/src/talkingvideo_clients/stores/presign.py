"""URLs that let a browser download one object without credentials, for a limited time."""

from __future__ import annotations

from typing import Any

LONGEST_EXPIRY = 7 * 24 * 3600
"""Seconds: the limit of Signature Version 4 (Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters")."""


def presigned_url(
    client: Any,
    bucket: str,
    key: str,
    expires_seconds: int,
    *,
    content_disposition: str | None = None,
    content_type: str | None = None,
) -> str:
    """Sign a GET request for one object. The service is not asked: the object need not exist.

    The URL is a secret until it expires: whoever has it can read the object. It also stops working when the credentials
    that signed it expire, which for a pod's identity is often earlier.

    Args:
        client: See ``s3.s3_client``; its endpoint must be the one that the browser reaches.
        bucket: The bucket.
        key: The object's key.
        expires_seconds: How long the URL works, 1 to 604,800 (7 days).
        content_disposition: Replaces the header of the answer, for example ``attachment; filename="film.mp4"``.
        content_type: Replaces the header of the answer.

    Raises:
        ValueError: When ``expires_seconds`` is out of range.
        BotoCoreError: When there are no credentials to sign with.
    """
    if not 1 <= expires_seconds <= LONGEST_EXPIRY:
        raise ValueError(f"expires_seconds is {expires_seconds}; it must be between 1 and {LONGEST_EXPIRY}.")
    parameters = {"Bucket": bucket, "Key": key}
    if content_disposition is not None:
        parameters["ResponseContentDisposition"] = content_disposition
    if content_type is not None:
        parameters["ResponseContentType"] = content_type
    url: str = client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires_seconds)
    return url
