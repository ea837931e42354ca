"""Who somebody is, as the value of a label."""

from __future__ import annotations

import hashlib
import re

LONGEST = 63
DIGEST_CHARACTERS = 20
PLAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
LIKE_A_DIGEST = re.compile(rf"(.*-)?[0-9a-f]{{{DIGEST_CHARACTERS}}}")


def label_of(identity: str) -> str:
    """A label value for an identity; different ones have different values.

    One that is a label value already stays as it is. Any other is shortened, and ends with a digest; so does one that looks as if
    it had been.
    """
    if len(identity) <= LONGEST and PLAIN.fullmatch(identity) and not LIKE_A_DIGEST.fullmatch(identity):
        return identity
    digest = hashlib.sha256(identity.encode()).hexdigest()[:DIGEST_CHARACTERS]
    readable = re.sub(r"[^A-Za-z0-9]+", "-", identity)[: LONGEST - DIGEST_CHARACTERS - 1].strip("-")
    return f"{readable}-{digest}" if readable else digest
