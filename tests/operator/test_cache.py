"""The cache: late, double and missing news."""

from dataclasses import replace
from typing import Any

from talkingvideo_api.names import Stage
from talkingvideo_operator.reconcile.cache import Shelf
from talkingvideo_operator.reconcile.objects import Job


def job(version: Any, uid: Any = "u1", name: Any = "j", owner: Any = "v", namespace: Any = "ns") -> Any:
    return Job(uid, namespace, name, owner, version, "r", Stage.RENDER, 0, 0)


def test_an_older_state_never_replaces_a_newer_one() -> None:
    shelf = Shelf[Job]()
    assert shelf.put(job(5)) is not None
    assert shelf.put(job(4)) is None
    assert shelf.put(job(5)) is None
    assert shelf.of("v") == (job(5),)


def test_what_was_deleted_never_comes_back() -> None:
    shelf = Shelf[Job]()
    shelf.put(job(5))
    assert shelf.remove(job(6))
    assert shelf.put(job(5)) is None
    assert shelf.resync([job(5)], 5) == set()
    assert shelf.of("v") == ()


def test_another_object_of_the_same_name_survives_the_old_ones_deletion() -> None:
    shelf = Shelf[Job]()
    shelf.put(job(5))
    shelf.put(job(8, uid="u2"))
    assert not shelf.remove(job(7))
    assert shelf.of("v") == (job(8, uid="u2"),)


def test_a_resync_removes_what_a_watch_missed_and_keeps_what_is_newer_than_the_list() -> None:
    shelf = Shelf[Job]()
    shelf.put(job(5, uid="gone", name="gone", owner="a"))
    shelf.put(job(12, uid="new", name="new", owner="b"))
    assert shelf.resync([job(6, uid="found", name="found", owner="c")], 10) == {"a", "c"}
    assert {item.name for item in shelf.all()} == {"new", "found"}


def test_a_resync_of_one_namespace_leaves_the_others_alone() -> None:
    shelf = Shelf[Job]()
    shelf.put(job(5, namespace="other"))
    assert shelf.resync([], 10, "ns") == set()
    assert len(shelf.of("v")) == 1


def test_a_job_about_to_be_created_gives_way_to_the_real_one() -> None:
    shelf = Shelf[Job]()
    expected = job(0, uid="")
    shelf.correct(expected)
    assert shelf.resync([], 10) == set(), "what is being created is not in the list yet"
    shelf.put(job(9))
    assert not shelf.remove(expected)
    assert shelf.of("v") == (job(9),)


def test_a_correction_holds_until_there_is_news() -> None:
    shelf = Shelf[Job]()
    shelf.put(job(5))
    shelf.correct(replace(job(5), deleting=True))
    assert shelf.put(job(5)) is None
    assert shelf.of("v")[0].deleting
