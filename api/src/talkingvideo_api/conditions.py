"""Condition types and the one vocabulary of reasons.

Types follow kstatus (``Ready``, ``Reconciling``, ``Stalled``) and the batch API (``Complete``, ``Failed``, ``Suspended``);
``Cancelled`` stands beside them, because a video that somebody has stopped is neither complete nor failed.
"""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    """Types of ``status.conditions``."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"
    CANCELLED = "Cancelled"


class Reason(StrEnum):
    """Every reason a condition or an event may carry."""

    ACCEPTED = "Accepted"
    QUEUED = "Queued"
    PREPARING = "Preparing"
    PREPARED = "Prepared"
    RENDERING = "Rendering"
    CHUNK_RENDERED = "ChunkRendered"
    CHUNKS_REUSED = "ChunksReused"
    STITCHING = "Stitching"
    SUCCEEDED = "Succeeded"
    DRY_RUN_FINISHED = "DryRunFinished"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    CANCELLED = "Cancelled"
    REVISED = "Revised"
    RESTARTED = "Restarted"
    RETRYING = "Retrying"
    RETRY_REQUESTED = "RetryRequested"
    NOT_SUPPORTED = "NotSupported"
    INVALID_SPEC = "InvalidSpec"
    INVALID_INPUT = "InvalidInput"
    PROFILE_MISSING = "ProfileMissing"
    NOT_ALLOWED = "NotAllowed"
    STORE_SECRET_MISSING = "StoreSecretMissing"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    UNSCHEDULABLE = "Unschedulable"
    NAME_CONFLICT = "NameConflict"
    CREATE_REFUSED = "CreateRefused"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    STAGE_FAILED = "StageFailed"


class Phase(StrEnum):
    """``status.phase``: one word for people; programs read the conditions."""

    PENDING = "Pending"
    PREPARING = "Preparing"
    RENDERING = "Rendering"
    STITCHING = "Stitching"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    SUSPENDED = "Suspended"


UNSUCCESSFUL_PHASES = frozenset({Phase.FAILED, Phase.CANCELLED})
"""The phases of a video that has ended without a result. The retry annotation can start it again."""

ENDED_PHASES = UNSUCCESSFUL_PHASES | {Phase.SUCCEEDED}
"""The phases of a video that has ended."""
