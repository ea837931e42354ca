"""Kubernetes tokens: whose they are, what is asked how often, and which rights are needed for what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from tests.gateway.identity.callers import DEFAULT, bearer, gateway_with_tokens
from tests.gateway.identity.test_access import JOB

from talkingvideo_clients.kube.api import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Api, ApiError, Resource
from talkingvideo_gateway.errors import ForbiddenError, UnavailableError
from talkingvideo_gateway.identity.caller import Caller, KubernetesUser, Verb
from talkingvideo_gateway.identity.kubernetes import KubernetesIdentity
from talkingvideo_gateway.identity.settings import KubernetesTokens

N8N = "system:serviceaccount:films:n8n"
TOKENS = {"n8n.token.x": N8N, "ann.token.x": "ann@example.com", "far.token.x": "system:serviceaccount:far:n8n"}
RIGHTS = {
    N8N: {"create", "get", "list", "watch", "patch", "delete"},
    "ann@example.com": {"get", "list"},
}


@dataclass
class Reviews:
    """An API server that reviews."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    audiences: tuple[str, ...] = ()
    broken: bool = False

    async def review(self, resource: Resource, spec: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((resource.plural, spec))
        await asyncio.sleep(0.01)
        if self.broken:
            raise ApiError(0, "no response")
        if resource == TOKEN_REVIEWS:
            user = TOKENS.get(spec["token"])
            found = {"username": user, "uid": "u", "groups": ["g"], "extra": {"scopes": ["a"]}}
            return {"authenticated": user is not None, "user": found, "audiences": list(self.audiences)}
        return {"allowed": spec["resourceAttributes"]["verb"] in RIGHTS.get(spec["user"], ())}

    def count(self, resource: Resource) -> int:
        return sum(kind == resource.plural for kind, _ in self.asked)


def identity(reviews: Reviews, *namespaces: str, **settings: Any) -> KubernetesIdentity:
    return KubernetesIdentity(cast(Api, reviews), KubernetesTokens(**settings), DEFAULT, namespaces)


def test_a_service_account_has_its_own_namespace_and_a_user_the_gateways() -> None:
    async def scenario() -> None:
        known = identity(Reviews())
        found = [await known.by_key(key) for key in TOKENS]
        assert [(each.namespace, each.sees_namespace) for each in found if each] == [
            ("films", True),
            ("films", True),
            ("far", True),
        ]
        assert len({each.name for each in found if each}) == 3
        unserved = await identity(Reviews(), "films").by_key("far.token.x")
        assert unserved is not None and unserved.namespace == "films"

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ["", "token-of-alice-0001", "a.b", "a.b.c.d", "a b.c.d", "a.b.c\n", "ä.b.c"])
def test_what_is_no_kubernetes_token_is_not_asked_for(key: str) -> None:
    reviews = Reviews()
    assert asyncio.run(identity(reviews).by_key(key)) is None
    assert reviews.asked == []


@pytest.mark.parametrize(
    ("wanted", "given", "known"),
    [((), (), True), (("gateway",), ("gateway", "x"), True), (("gateway",), ("x",), False), (("gateway",), (), False)],
)
def test_a_token_for_another_audience_is_nobodys(wanted: tuple[str, ...], given: tuple[str, ...], known: bool) -> None:
    reviews = Reviews(audiences=given)
    assert (asyncio.run(identity(reviews, audiences=wanted).by_key("n8n.token.x")) is not None) is known
    assert reviews.asked[0][1].get("audiences", []) == list(wanted)


def test_polls_side_by_side_and_soon_after_are_one_question_also_for_a_wrong_token() -> None:
    async def scenario() -> None:
        for key in ("n8n.token.x", "wrong.token.x"):
            reviews = Reviews()
            known = identity(reviews)
            found = await asyncio.gather(*(known.by_key(key) for _ in range(200)))
            assert len(set(map(id, found))) <= 200 and await known.by_key(key) == found[0]
            assert reviews.count(TOKEN_REVIEWS) == 1

    asyncio.run(scenario())


def test_answers_are_asked_for_again_when_their_time_is_over_and_errors_at_once() -> None:
    async def scenario() -> None:
        reviews = Reviews(broken=True)
        known = identity(reviews, seconds=60)
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await known.by_key("n8n.token.x")
        reviews.broken = False
        assert await known.by_key("n8n.token.x") is not None
        assert reviews.count(TOKEN_REVIEWS) == 3
        forgetful = identity(reviews, seconds=0)
        await forgetful.by_key("n8n.token.x")
        await forgetful.by_key("n8n.token.x")
        assert reviews.count(TOKEN_REVIEWS) == 5

    asyncio.run(scenario())


def test_a_right_is_asked_for_by_user_namespace_and_verb_with_all_that_authorizers_look_at() -> None:
    async def scenario() -> None:
        reviews = Reviews()
        known = identity(reviews)
        caller = await known.by_key("ann.token.x")
        assert caller is not None
        for _ in range(3):
            await known.require(caller, Verb.GET)
        with pytest.raises(ForbiddenError, match=r"ann@example.com may not create talkingvideos.talkingvideo.dev"):
            await known.require(caller, Verb.CREATE)
        assert reviews.count(SUBJECT_ACCESS_REVIEWS) == 2
        assert reviews.asked[1][1] == {
            "user": "ann@example.com",
            "uid": "u",
            "groups": ["g"],
            "extra": {"scopes": ["a"]},
            "resourceAttributes": {
                "namespace": "films",
                "verb": "get",
                "group": "talkingvideo.dev",
                "resource": "talkingvideos",
            },
        }
        await known.require(Caller("alice", "films"), Verb.CREATE)
        assert reviews.count(SUBJECT_ACCESS_REVIEWS) == 2

    asyncio.run(scenario())


def test_users_with_other_groups_or_scopes_are_asked_for_again() -> None:
    plain = KubernetesUser("ann", "u", ("g",))
    assert plain.key != KubernetesUser("ann", "u", ("h",)).key
    assert plain.key != KubernetesUser("ann", "u", ("g",), {"scopes": ("a",)}).key


REQUESTS = [
    # method, path, what ann (get, list) is answered, what the account (all) is answered
    ("POST", "/jobs", 403, 202),
    ("GET", "/jobs/{id}", 200, 200),
    ("GET", "/api/queue", 200, 200),
    ("DELETE", "/api/result/{id}", 403, 200),
]


@pytest.mark.parametrize(("method", "path", "reader", "owner"), REQUESTS)
def test_each_request_needs_the_right_that_it_is_in_kubernetes(
    tmp_path: Path, method: str, path: str, reader: int, owner: int
) -> None:
    known = identity(Reviews())
    with gateway_with_tokens(tmp_path, sources=[known], rights=known) as served, served.client() as http:
        name = http.post("/jobs", json=JOB, headers=bearer("n8n.token.x")).json()["id"]
        for token, status in (("ann.token.x", reader), ("n8n.token.x", owner)):
            answer = http.request(method, path.format(id=name), json=JOB, headers=bearer(token))
            assert answer.status_code == status, answer.text
            if status == 403:
                assert "ann@example.com may not" in answer.text
