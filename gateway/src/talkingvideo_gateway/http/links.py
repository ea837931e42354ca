"""Addresses at which anybody can download one file of a result for a while.

Older clients download without credentials, and so does a browser's ``<video>``. Where a store can sign, its own presigned
address is used; elsewhere the gateway signs one.
"""

from __future__ import annotations

from enum import StrEnum

from itsdangerous import BadSignature, URLSafeTimedSerializer

from talkingvideo_gateway.errors import NotFoundError

PATH = "/shared"
LONGEST = 7 * 24 * 3600


class Part(StrEnum):
    """What a link is for."""

    VIDEO = "video"
    THUMBNAIL = "thumbnail"


class Links:
    """Signs and checks links.

    Args:
        key: Secret; whoever has it can read every result. Replicas share it.
    """

    def __init__(self, key: str) -> None:
        self._serializer = URLSafeTimedSerializer(key, salt="result-link")

    def path(self, namespace: str, name: str, uid: str, seconds: int, part: Part = Part.VIDEO) -> str:
        """Path at which a part of the result can be downloaded for so many seconds, at most 7 days."""
        token = self._serializer.dumps([namespace, name, uid, min(seconds, LONGEST), part])
        return f"{PATH}/{token}"

    def read(self, token: str) -> tuple[str, str, str, Part]:
        """Namespace, name and uid of the video that a link is for, and the part of its result.

        Raises:
            NotFoundError: It was not signed here, or its time is over.
        """
        try:
            namespace, name, uid, seconds, part = self._serializer.loads(token, max_age=LONGEST)
            self._serializer.loads(token, max_age=seconds)
        except (BadSignature, ValueError, TypeError) as error:
            raise NotFoundError("This link does not work, or not any more.") from error
        return namespace, name, uid, Part(part)
