"""The connection to the S3 service where a person runs a command: as AWS's own tools find it."""

from __future__ import annotations

import os

from talkingvideo_api.stage_input import S3Connection


def connection_from_environment() -> S3Connection:
    """The connection in the variables that AWS's own tools read; boto3 reads the credentials itself."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return S3Connection(endpoint=endpoint, region=region)
