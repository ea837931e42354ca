"""The index: late, repeated and missing events."""

from dataclasses import replace
from typing import Any

from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.index import Index
from talkingvideo_clients.kube.objects import Job


def job(version: Any, uid: Any = "u1", name: Any = "j", owner: Any = "v", namespace: Any = "ns") -> Any:
    return Job(uid, namespace, name, owner, version, "r", Stage.RENDER, 0, 0)


def test_an_older_state_never_replaces_a_newer_one() -> None:
    index = Index[Job]()
    assert index.update(job(5))
    assert not index.update(job(4))
    assert not index.update(job(5))
    assert index.by_owner("v") == (job(5),)


def test_a_deleted_object_never_comes_back() -> None:
    index = Index[Job]()
    index.update(job(5))
    assert index.delete(job(6))
    assert not index.update(job(5))
    assert index.replace([job(5)], 5) == set()
    assert index.by_owner("v") == ()


def test_another_object_of_the_same_name_survives_the_old_ones_deletion() -> None:
    index = Index[Job]()
    index.update(job(5))
    index.update(job(8, uid="u2"))
    assert not index.delete(job(7))
    assert index.by_owner("v") == (job(8, uid="u2"),)


def test_an_object_of_another_namespace_does_not_replace_its_namesake() -> None:
    index = Index[Job]()
    own, foreign = job(5), job(9, uid="u2", namespace="elsewhere")
    assert index.update(own) and index.update(foreign)
    assert index.by_owner("v") == (own, foreign)
    assert index.delete(foreign)
    assert index.by_owner("v") == (own,)


def test_the_known_state_of_an_object_is_never_that_of_a_namesake_elsewhere() -> None:
    index: Index[Job] = Index()
    index.update(job(5))
    assert index.known(job(9)) == job(5)
    assert index.known(job(9, uid="u2", namespace="elsewhere")) is None


def test_a_relist_removes_what_a_watch_has_missed_and_keeps_what_is_newer_than_the_list() -> None:
    index = Index[Job]()
    index.update(job(5, uid="gone", name="gone", owner="a"))
    index.update(job(12, uid="new", name="new", owner="b"))
    assert index.replace([job(6, uid="found", name="found", owner="c")], 10) == {"a", "c"}
    assert {item.name for item in index.all()} == {"new", "found"}


def test_a_relist_of_one_namespace_leaves_the_others_alone() -> None:
    index = Index[Job]()
    index.update(job(5, namespace="other"))
    assert index.replace([], 10, "ns") == set()
    assert len(index.by_owner("v")) == 1


def test_a_job_that_is_being_created_is_replaced_by_the_created_one() -> None:
    index = Index[Job]()
    expected = job(0, uid="")
    index.assume(expected)
    assert index.replace([], 10) == set(), "what is being created is not in the list yet"
    index.update(job(9))
    assert not index.delete(expected)
    assert index.by_owner("v") == (job(9),)


def test_an_assumed_state_holds_until_a_newer_one_is_reported() -> None:
    index = Index[Job]()
    index.update(job(5))
    index.assume(replace(job(5), deleting=True))
    assert not index.update(job(5))
    assert index.by_owner("v")[0].deleting
