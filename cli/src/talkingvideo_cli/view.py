"""What people want to know of a TalkingVideo, read from an object of any release.

The models refuse what they do not know, as a writer of status must. Here a status is only shown: the operator may be newer than
the command, so that an unknown phase is a word like any other, and a field that is missing or new is no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from talkingvideo_api.conditions import Phase
from talkingvideo_api.names import ANNOTATION_RETRY
from talkingvideo_api.reports import decode_bitmap

Body = Mapping[str, Any]

MADE_BY_RETRY = 128
"""Characters above which the operator keeps a digest of the retry annotation."""


class Outcome(Enum):
    """How a video has ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


@dataclass(frozen=True)
class ChunkView:
    """One chunk.

    Attributes:
        index: From 0.
        state: A word: done, waiting, or what its Job does.
        percent: 0..100.
        seconds: Length of its part of the video.
    """

    index: int
    state: str
    percent: int
    seconds: float


@dataclass(frozen=True)
class VideoView:
    """One video.

    Attributes:
        name: Its name.
        namespace: Its namespace.
        phase: One word.
        percent: 0..100.
        chunks: Its chunks; none before the plan is known.
        done: Number of finished chunks.
        queue: Its place among the videos that wait, from 1.
        expected: When it will end, as far as that is known.
        created: When the object was created.
        outcome: How it has ended; None while it goes on, or is about to.
        message: What the conditions say.
        failure: Why it has failed: code, message, field and so on.
        output: Where the result is, and what it is like.
        warnings: What the person should know.
        estimate: Of the work.
        reused: Number of chunks that were found in the store.
    """

    name: str
    namespace: str
    phase: str
    percent: int
    chunks: tuple[ChunkView, ...]
    done: int
    queue: int | None
    expected: datetime | None
    created: datetime
    outcome: Outcome | None
    message: str
    failure: Body
    output: Body
    warnings: tuple[str, ...]
    estimate: Body
    reused: int

    @classmethod
    def of(cls, body: Body) -> VideoView:
        """Read an object as the API returns it."""
        metadata, status = body["metadata"], body.get("status") or {}
        chunks = status.get("chunks") or {}
        expected = status.get("estimatedCompletionTime")
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            phase=status.get("phase") or Phase.PENDING.value,
            percent=int(status.get("progress") or 0),
            chunks=_chunks(chunks),
            done=int(chunks.get("done") or 0),
            queue=status.get("queuePosition"),
            expected=datetime.fromisoformat(expected) if expected else None,
            created=datetime.fromisoformat(metadata["creationTimestamp"]),
            outcome=_outcome(body),
            message=_message(status),
            failure=status.get("failure") or {},
            output=status.get("output") or {},
            warnings=tuple(status.get("warnings") or ()),
            estimate=status.get("estimate") or {},
            reused=int(chunks.get("reused") or 0),
        )


FRAMES_PER_SECOND = 25
"""Of every video (``spec.video``)."""


def _chunks(chunks: Body) -> tuple[ChunkView, ...]:
    frames = chunks.get("frames") or ()
    try:
        finished = set(decode_bitmap(chunks.get("finished", ""), len(frames)))
    except ValueError:
        finished = set()
    active = {chunk["index"]: chunk for chunk in chunks.get("active") or ()}
    failed = {chunk["index"] for chunk in chunks.get("failed") or ()}
    return tuple(
        ChunkView(index, *_state(index, finished, active, failed), count / FRAMES_PER_SECOND)
        for index, count in enumerate(frames)
    )


def _state(index: int, finished: set[int], active: Mapping[int, Body], failed: set[int]) -> tuple[str, int]:
    if index in finished:
        return "done", 100
    if index in active:
        return str(active[index].get("stage", "")).lower(), int(active[index].get("progress") or 0)
    return ("waiting to try again" if index in failed else "waiting"), 0


def _outcome(body: Body) -> Outcome | None:
    """How it has ended, unless the operator has yet to see an edit or a retry of it."""
    metadata, status = body["metadata"], body.get("status") or {}
    try:
        outcome = Outcome(status.get("phase"))
    except ValueError:
        return None
    if status.get("observedGeneration") != metadata.get("generation", 0):
        return None
    if outcome is Outcome.SUCCEEDED:
        return outcome
    retry = (metadata.get("annotations") or {}).get(ANNOTATION_RETRY)
    requested = retry is not None and len(retry) <= MADE_BY_RETRY and retry != status.get("observedRetry")
    cancelled = bool((body.get("spec") or {}).get("cancel"))
    return None if requested and not cancelled else outcome


def _message(status: Body) -> str:
    """The message of the condition that became true last."""
    true = [each for each in status.get("conditions") or () if each.get("status") == "True"]
    latest: Body = max(true, key=lambda each: str(each.get("lastTransitionTime", "")), default={})
    return str(latest.get("message", ""))
