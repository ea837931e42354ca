"""Admission: who starts next."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.operator.fake_cluster import START

from talkingvideo_api.names import Stage
from talkingvideo_operator.planning.admission import Admission, Queue, QueueEntry


def entry(
    uid: Any, wanted: Any = 3, rank: Any = 9, minute: Any = 0, namespace: Any = "ns", limit: Any = None, **more: Any
) -> Any:
    return QueueEntry(uid, namespace, rank, START + timedelta(minutes=minute), wanted, namespace_limit=limit, **more)


def queue(*entries: Any, limit: Any = None, **active: Any) -> Any:
    return Queue(limit, active, {c.uid: c for c in entries})


def started(waiting: Queue) -> Counter[str]:
    """Jobs that each namespace starts when everything that is free is granted."""
    jobs: Counter[str] = Counter()
    for each in waiting.entries.values():
        jobs[each.namespace] += waiting.grant(each).jobs
    return jobs


def test_without_a_limit_everything_is_granted() -> None:
    assert queue().grant(entry("a", wanted=100)).jobs == 100
    assert Admission().grant(Stage.PREPARE, entry("a", wanted=100)).jobs == 100


def test_within_a_namespace_first_come_first_served() -> None:
    waiting = queue(entry("early", wanted=2, minute=0), limit=3)
    assert waiting.grant(entry("late", wanted=3, minute=1)).jobs == 1
    assert waiting.grant(entry("earlier", wanted=3, minute=-1)).jobs == 3


def test_within_a_namespace_priority_comes_before_time() -> None:
    assert queue(entry("early", minute=0), limit=3).grant(entry("urgent", rank=0, minute=5)).jobs == 3


def test_a_namespace_that_names_the_most_urgent_class_everywhere_starves_nobody() -> None:
    urgent = [entry(f"urgent-{number}", rank=0, wanted=3, namespace="loud") for number in range(100)]
    assert started(queue(*urgent, entry("quiet", namespace="quiet", minute=9), limit=6)) == {"loud": 3, "quiet": 3}


def test_a_namespace_with_one_video_does_not_wait_for_the_hundred_of_another() -> None:
    many = [entry(f"many-{number}", wanted=1, namespace="many") for number in range(100)]
    one = entry("one", wanted=1, namespace="one", minute=60)
    assert queue(*many, one, limit=33, many=32).admitted() == ["one"]
    assert queue(*many, one, limit=32, many=32).grant(one).position == 1


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 8, 31, 40])
def test_weights_are_honoured_within_one_slot(limit: int) -> None:
    light = [entry(f"light-{number}", namespace="light", weight=1) for number in range(20)]
    heavy = [entry(f"heavy-{number}", namespace="heavy", weight=3, minute=5) for number in range(20)]
    jobs = started(queue(*light, *heavy, limit=limit))
    assert jobs.total() == limit
    assert abs(jobs["light"] - limit / 4) <= 1


def test_a_namespace_shares_gpus_and_not_jobs() -> None:
    large = [entry(f"large-{number}", namespace="large", cost=8, wanted=2) for number in range(4)]
    small = [entry(f"small-{number}", namespace="small", wanted=4, minute=1) for number in range(8)]
    assert started(queue(*large, *small, limit=16)) == {"large": 1, "small": 8}


def test_what_is_free_is_kept_for_a_chunk_with_many_gpus() -> None:
    large = entry("large", cost=8, wanted=1, namespace="large")
    small = entry("small", wanted=5, minute=1, namespace="small")
    assert queue(large, small, limit=8, small=5).admitted() == []
    assert queue(large, small, limit=8).admitted() == ["large"]


def test_a_chunk_that_can_never_start_holds_nobody_back() -> None:
    never = entry("never", cost=8, namespace="a")
    assert queue(never, entry("b", minute=1), limit=4).admitted() == ["b"]
    assert queue(entry("never", cost=8, limit=4), entry("b", minute=1), limit=16).admitted() == ["b"]


def test_a_full_namespace_does_not_hold_back_another() -> None:
    waiting = queue(entry("first", namespace="full", limit=1), limit=10, full=1)
    assert waiting.grant(entry("second", namespace="free", minute=1)).jobs == 3


def test_the_limit_of_a_namespace_counts_gpus() -> None:
    assert queue(limit=None, ns=4).grant(entry("a", cost=4, wanted=5, limit=12)).jobs == 2


def test_the_position_counts_the_videos_that_wait() -> None:
    waiting = queue(entry("a", minute=0), entry("b", minute=1), entry("c", minute=2), limit=1, ns=1)
    grants = [waiting.grant(each) for each in waiting.entries.values()]
    assert [(grant.jobs, grant.position) for grant in grants] == [(0, 1), (0, 2), (0, 3)]


def test_a_video_that_is_new_to_a_full_queue_counts_as_the_last() -> None:
    waiting = queue(entry("a", minute=5), entry("b", minute=6), limit=1, ns=1)
    assert waiting.grant(entry("new", minute=0)).position == 3
    assert waiting.grant(entry("a", minute=0)).position == 2


def test_positions_alternate_between_namespaces_as_the_videos_will_start() -> None:
    mine = [entry(f"mine-{number}", wanted=1, minute=number, namespace="mine") for number in range(3)]
    theirs = [entry(f"theirs-{number}", wanted=1, minute=9 + number, namespace="theirs") for number in range(3)]
    full = queue(*mine, *theirs, limit=2, mine=1, theirs=1)
    order = sorted(full.entries.values(), key=lambda each: full.grant(each).position)
    assert [each.uid for each in order] == ["mine-0", "theirs-0", "mine-1", "theirs-1", "mine-2", "theirs-2"]


def test_a_slot_that_becomes_free_belongs_to_the_head_of_the_queue() -> None:
    assert queue(entry("b", minute=1), entry("a", minute=0, wanted=1), limit=1).admitted() == ["a"]


def test_a_grant_says_how_many_jobs_are_deferred() -> None:
    assert queue(limit=2).grant(entry("a", wanted=5)).deferred == 3
    assert queue(limit=9).grant(entry("a", wanted=5)).deferred == 0


NAMESPACES = ("x", "y", "z")

ENTRIES = st.lists(
    st.builds(
        entry,
        uid=st.uuids().map(str),
        wanted=st.integers(0, 10),
        rank=st.integers(0, 3),
        minute=st.integers(0, 5),
        namespace=st.sampled_from(NAMESPACES),
        limit=st.none() | st.just(7),
        cost=st.sampled_from([1, 1, 2, 8]),
    ),
    max_size=8,
)


@given(
    entries=ENTRIES, limit=st.integers(1, 20), active=st.dictionaries(st.sampled_from(NAMESPACES), st.integers(0, 9))
)
def test_all_grants_together_stay_within_the_limits(entries: Any, limit: Any, active: Any) -> None:
    waiting = Queue(limit, active, {c.uid: c for c in entries})
    grants = {c.uid: waiting.grant(c).jobs for c in entries}
    room = max(0, limit - sum(active.values()))
    assert sum(grants[c.uid] * c.cost for c in entries) <= room
    for namespace in NAMESPACES:
        own = [c for c in entries if c.namespace == namespace]
        if own and all(c.namespace_limit for c in own):
            assert sum(grants[c.uid] * c.cost for c in own) <= max(0, 7 - active.get(namespace, 0))
    if room and all(c.cost == 1 and c.namespace_limit is None for c in entries):
        assert sum(grants.values()) == min(room, sum(c.wanted for c in entries)), "no slot stays empty"


@given(entries=ENTRIES, limit=st.integers(1, 20))
def test_positions_are_those_of_a_queue(entries: Any, limit: Any) -> None:
    waiting = Queue(limit, {}, {c.uid: c for c in entries})
    positions = [grant.position for c in entries if (grant := waiting.grant(c)).position is not None]
    assert sorted(positions) == list(range(1, len(positions) + 1))


@given(entries=ENTRIES, limit=st.integers(1, 20))
def test_whoever_waits_gets_a_turn_when_what_runs_has_ended(entries: Any, limit: Any) -> None:
    waiting = Queue(limit, {}, {c.uid: c for c in entries})
    able = {c.uid for c in entries if c.can_ever_start(limit)}
    while able:
        admitted = waiting.admitted()
        assert admitted
        waiting = Queue(limit, {}, {uid: c for uid, c in waiting.entries.items() if uid not in admitted})
        able -= {*admitted}
