"""Revisions: specs that ask for different frames, different audio or a different destination."""

from __future__ import annotations

import hashlib
import json

from talkingvideo_api.spec import TalkingVideoSpec

NOT_IN_REVISION = {
    "cancel",
    "suspend",
    "priority",
    "queueName",
    "ttlSecondsAfterFinished",
    "activeDeadlineSeconds",
    "notify",
}
"""Fields that do not affect the result, in addition to ``chunking.maxParallel``."""


def revision_of(spec: TalkingVideoSpec) -> str:
    """The first 8 hexadecimal digits of sha256 over the fields of the spec that affect the result.

    ``metadata.generation`` does not serve: it also counts suspending, resuming and cancelling.
    """
    document = {key: value for key, value in spec.to_dict().items() if key not in NOT_IN_REVISION}
    if "chunking" in document:
        document["chunking"] = {k: v for k, v in document["chunking"].items() if k != "maxParallel"}
        if not document["chunking"]:
            del document["chunking"]
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]
