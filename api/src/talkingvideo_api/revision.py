"""Revisions: a spec that asks for other pixels, other sound or another place is another revision."""

from __future__ import annotations

import hashlib
import json

from talkingvideo_api.spec import TalkingVideoSpec

NOT_IN_REVISION = {
    "suspend",
    "priority",
    "queueName",
    "ttlSecondsAfterFinished",
    "activeDeadlineSeconds",
    "notify",
}
"""Fields whose change starts nothing anew (``chunking.maxParallel`` beside them)."""


def revision_of(spec: TalkingVideoSpec) -> str:
    """First 8 hex digits of sha256 over the spec, less what does not change the result.

    ``metadata.generation`` would not do: it also counts suspending and resuming.
    """
    document = {key: value for key, value in spec.to_dict().items() if key not in NOT_IN_REVISION}
    if "chunking" in document:
        document["chunking"] = {k: v for k, v in document["chunking"].items() if k != "maxParallel"}
        if not document["chunking"]:
            del document["chunking"]
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]
