"""``policy``: how long a job may take, and how long it is kept."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

LEAST_EXECUTION_MS, LEAST_TTL_MS = 5_000, 10_000
"""What RunPod itself requires at least: smaller values were meant as seconds."""

MOST_EXECUTION_SECONDS, MOST_TTL_SECONDS = 2_592_000, 31_536_000
"""What the resource allows at most."""

IN_SECONDS = "policy was read in seconds: RunPod's values are milliseconds, executionTimeout at least 5000."
PRIORITY = "policy.lowPriority is ignored: which videos come first is configured by the administrator."

Milliseconds = Annotated[float, Field(gt=0, le=1e12)]


class Policy(BaseModel):
    """``policy`` of a request."""

    model_config = ConfigDict(alias_generator=to_camel)

    execution_timeout: Milliseconds | None = None
    ttl: Milliseconds | None = None
    low_priority: bool | None = None


def policy_spec(policy: Policy | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The policy in the resource's words, and what was changed or ignored."""
    if policy is None:
        return {}, ()
    warnings = [PRIORITY] if policy.low_priority else []
    unit = 1_000
    if _in_seconds(policy):
        unit = 1
        warnings.append(IN_SECONDS)
    deadline = _seconds(policy.execution_timeout, unit, MOST_EXECUTION_SECONDS)
    ttl = _seconds(policy.ttl, unit, MOST_TTL_SECONDS)
    spec = {"activeDeadlineSeconds": deadline, "ttlSecondsAfterFinished": ttl}
    return {key: value for key, value in spec.items() if value is not None}, tuple(warnings)


def _in_seconds(policy: Policy) -> bool:
    """One unit counts for both; executionTimeout tells it where it is given."""
    if policy.execution_timeout is not None:
        return policy.execution_timeout < LEAST_EXECUTION_MS
    return policy.ttl is not None and policy.ttl < LEAST_TTL_MS


def _seconds(value: float | None, unit: int, most: int) -> int | None:
    return None if value is None else min(most, math.ceil(value / unit))
