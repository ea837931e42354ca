"""Conditions, as kstatus and ``kubectl wait`` read them."""

from __future__ import annotations

from datetime import datetime

from talkingvideo_api.conditions import UNSUCCESSFUL_PHASES, ConditionType, Phase, Reason
from talkingvideo_api.status import Condition
from talkingvideo_api.texts import truncate

MAX_MESSAGE = 1_024
"""Bytes. All seven conditions carry the message."""

TRUE_IN: dict[ConditionType, frozenset[Phase]] = {
    ConditionType.READY: frozenset({Phase.SUCCEEDED}),
    ConditionType.RECONCILING: frozenset({Phase.PENDING, Phase.PREPARING, Phase.RENDERING, Phase.STITCHING}),
    ConditionType.STALLED: UNSUCCESSFUL_PHASES,
    ConditionType.COMPLETE: frozenset({Phase.SUCCEEDED}),
    ConditionType.FAILED: frozenset({Phase.FAILED}),
    ConditionType.SUSPENDED: frozenset({Phase.SUSPENDED}),
    ConditionType.CANCELLED: frozenset({Phase.CANCELLED}),
}
"""The phases in which each condition is true. Every condition is always present, so that waiting for one never hangs."""


def conditions(
    known: tuple[Condition, ...], phase: Phase, reason: Reason, message: str, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Build all conditions; one whose status does not change keeps its transition time.

    Args:
        known: The conditions so far.
        phase: The phase that they describe.
        reason: Why it is in that phase.
        message: For people; truncated to 1,024 bytes.
        generation: The generation of the spec that was observed.
        now: The time of the decision.
    """
    before = {condition.type: condition for condition in known}
    result = []
    for kind, phases in TRUE_IN.items():
        status = "True" if phase in phases else "False"
        old = before.get(kind)
        since = old.last_transition_time if old and old.status == status else now
        result.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=truncate(message, MAX_MESSAGE),
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return tuple(result)
