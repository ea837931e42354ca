"""Admission: who renders next."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.operator.fake_cluster import START

from talkingvideo_operator.planning.admission import Admission, QueueEntry


def entry(uid: Any, wanted: Any = 3, rank: Any = 9, minute: Any = 0, namespace: Any = "ns", limit: Any = None) -> Any:
    return QueueEntry(uid, namespace, rank, START + timedelta(minutes=minute), wanted, limit)


def queue(*entries: Any, limit: Any = None, **active: Any) -> Any:
    return Admission(limit, active, {c.uid: c for c in entries})


def test_without_a_limit_everything_is_granted() -> None:
    assert queue().grant(entry("a", wanted=100)).slots == 100


def test_first_come_first_served() -> None:
    admission = queue(entry("early", wanted=2, minute=0), limit=3)
    assert admission.grant(entry("late", wanted=3, minute=1)).slots == 1
    assert admission.grant(entry("earlier", wanted=3, minute=-1)).slots == 3


def test_priority_comes_before_time() -> None:
    admission = queue(entry("early", minute=0), limit=3)
    assert admission.grant(entry("urgent", rank=0, minute=5)).slots == 3


def test_a_full_namespace_does_not_hold_back_another() -> None:
    admission = queue(entry("first", namespace="full", limit=1), limit=10, full=1)
    assert admission.grant(entry("second", namespace="free", minute=1)).slots == 3


def test_the_position_counts_the_videos_that_wait() -> None:
    admission = queue(entry("a", minute=0), entry("b", minute=1), limit=1, ns=1)
    grant = admission.grant(entry("c", minute=2))
    assert (grant.slots, grant.position) == (0, 3)


def test_a_slot_that_becomes_free_belongs_to_the_head_of_the_queue() -> None:
    assert queue(entry("b", minute=1), entry("a", minute=0, wanted=1), limit=1).admitted() == ["a"]


ENTRIES = st.lists(
    st.builds(
        entry,
        uid=st.uuids().map(str),
        wanted=st.integers(0, 10),
        rank=st.integers(0, 3),
        minute=st.integers(0, 5),
        namespace=st.sampled_from(["x", "y"]),
        limit=st.none() | st.just(7),
    ),
    max_size=8,
)


@given(
    entries=ENTRIES, limit=st.integers(1, 20), active=st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 9))
)
def test_all_grants_together_stay_within_the_limits(entries: Any, limit: Any, active: Any) -> None:
    admission = Admission(limit, active, {c.uid: c for c in entries})
    grants = {c.uid: admission.grant(c).slots for c in entries}
    room = max(0, limit - sum(active.values()))
    assert sum(grants.values()) <= room
    for namespace in ("x", "y"):
        bounded = [c for c in entries if c.namespace == namespace and c.namespace_limit]
        if bounded and all(c.namespace_limit for c in entries if c.namespace == namespace):
            assert sum(grants[c.uid] for c in bounded) <= max(0, 7 - active.get(namespace, 0))
    if room and not any(c.namespace_limit for c in entries):
        assert sum(grants.values()) == min(room, sum(c.wanted for c in entries)), "no slot stays empty"


def test_a_grant_says_how_many_jobs_are_deferred() -> None:
    assert queue(limit=2).grant(entry("a", wanted=5)).deferred == 3
    assert queue(limit=9).grant(entry("a", wanted=5)).deferred == 0
