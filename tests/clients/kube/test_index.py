"""The cache: late, double and missing news."""

from dataclasses import replace
from typing import Any

from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.index import Index
from talkingvideo_clients.kube.objects import Job


def job(version: Any, uid: Any = "u1", name: Any = "j", owner: Any = "v", namespace: Any = "ns") -> Any:
    return Job(uid, namespace, name, owner, version, "r", Stage.RENDER, 0, 0)


def test_an_older_state_never_replaces_a_newer_one() -> None:
    index = Index[Job]()
    assert index.put(job(5)) is not None
    assert index.put(job(4)) is None
    assert index.put(job(5)) is None
    assert index.of("v") == (job(5),)


def test_what_was_deleted_never_comes_back() -> None:
    index = Index[Job]()
    index.put(job(5))
    assert index.remove(job(6))
    assert index.put(job(5)) is None
    assert index.resync([job(5)], 5) == set()
    assert index.of("v") == ()


def test_another_object_of_the_same_name_survives_the_old_ones_deletion() -> None:
    index = Index[Job]()
    index.put(job(5))
    index.put(job(8, uid="u2"))
    assert not index.remove(job(7))
    assert index.of("v") == (job(8, uid="u2"),)


def test_a_resync_removes_what_a_watch_missed_and_keeps_what_is_newer_than_the_list() -> None:
    index = Index[Job]()
    index.put(job(5, uid="gone", name="gone", owner="a"))
    index.put(job(12, uid="new", name="new", owner="b"))
    assert index.resync([job(6, uid="found", name="found", owner="c")], 10) == {"a", "c"}
    assert {item.name for item in index.all()} == {"new", "found"}


def test_a_resync_of_one_namespace_leaves_the_others_alone() -> None:
    index = Index[Job]()
    index.put(job(5, namespace="other"))
    assert index.resync([], 10, "ns") == set()
    assert len(index.of("v")) == 1


def test_a_job_about_to_be_created_gives_way_to_the_real_one() -> None:
    index = Index[Job]()
    expected = job(0, uid="")
    index.correct(expected)
    assert index.resync([], 10) == set(), "what is being created is not in the list yet"
    index.put(job(9))
    assert not index.remove(expected)
    assert index.of("v") == (job(9),)


def test_a_correction_holds_until_there_is_news() -> None:
    index = Index[Job]()
    index.put(job(5))
    index.correct(replace(job(5), deleting=True))
    assert index.put(job(5)) is None
    assert index.of("v")[0].deleting
