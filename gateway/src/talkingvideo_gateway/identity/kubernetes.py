"""Tokens that Kubernetes knows: whose they are (TokenReview), and what their users may do (SubjectAccessReview)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable
from functools import partial

from talkingvideo_api.names import GROUP, PLURAL
from talkingvideo_clients.kube.api import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Api, ApiError
from talkingvideo_gateway.errors import ForbiddenError, UnavailableError
from talkingvideo_gateway.identity.caller import Caller, KubernetesUser, Verb
from talkingvideo_gateway.identity.labels import label_of
from talkingvideo_gateway.identity.remembered import Remembered
from talkingvideo_gateway.identity.settings import KubernetesTokens

JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""Tokens of ServiceAccounts and of OpenID Connect. The API server is asked for no others, so that guesses cost it nothing."""

SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:([^:]+):[^:]+")
RETRY_AFTER_SECONDS = 5


class KubernetesIdentity:
    """Knows callers by Kubernetes tokens, and their rights.

    A ServiceAccount's videos are in its own namespace, a user's in the gateway's.

    Args:
        api: The API server.
        settings: Audiences, and how long answers are used.
        default: Namespace, profile and limits.
        namespaces: Namespaces that are served; all if empty.
    """

    def __init__(self, api: Api, settings: KubernetesTokens, default: Caller, namespaces: tuple[str, ...] = ()) -> None:
        self._api = api
        self._audiences = settings.audiences
        self._default = default
        self._namespaces = namespaces
        self._users: Remembered[bytes, KubernetesUser | None] = Remembered(settings.seconds)
        self._rights: Remembered[tuple[Hashable, str, Verb], str | None] = Remembered(settings.seconds)

    async def by_key(self, key: str) -> Caller | None:
        """The caller whose token it is.

        Raises:
            UnavailableError: The API server does not answer.
        """
        if not JWT.fullmatch(key):
            return None
        user = await self._users.get(hashlib.sha256(key.encode()).digest(), partial(self._review, key))
        return None if user is None else self._caller(user)

    async def require(self, caller: Caller, verb: Verb) -> None:
        """See `Rights`."""
        user = caller.user
        if user is None:
            return
        question = (user.key, caller.namespace, verb)
        refusal = await self._rights.get(question, partial(self._ask, user, caller.namespace, verb))
        if refusal is not None:
            raise ForbiddenError(refusal)

    def _caller(self, user: KubernetesUser) -> Caller:
        account = SERVICE_ACCOUNT.fullmatch(user.name)
        own = account[1] if account else self._default.namespace
        served = not self._namespaces or own in self._namespaces
        return Caller(
            name=label_of(f"kubernetes:{user.name}"),
            namespace=own if served else self._default.namespace,
            profile=self._default.profile,
            limits=self._default.limits,
            sees_namespace=True,
            user=user,
        )

    async def _review(self, key: str) -> KubernetesUser | None:
        spec = {"token": key} | ({"audiences": list(self._audiences)} if self._audiences else {})
        try:
            status = await self._api.review(TOKEN_REVIEWS, spec)
        except ApiError as error:
            raise _unavailable(error) from error
        # An authenticator that knows no audiences ignores them, and then names none.
        audience = not self._audiences or not {*self._audiences}.isdisjoint(status.get("audiences") or ())
        if not status.get("authenticated") or not audience:
            return None
        user = status.get("user") or {}
        extra = {name: tuple(values) for name, values in (user.get("extra") or {}).items()}
        return KubernetesUser(user["username"], user.get("uid", ""), tuple(user.get("groups") or ()), extra)

    async def _ask(self, user: KubernetesUser, namespace: str, verb: Verb) -> str | None:
        """None if the user may do it, else why not."""
        spec = {
            "user": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {name: list(values) for name, values in user.extra.items()},
            "resourceAttributes": {"namespace": namespace, "verb": verb.value, "group": GROUP, "resource": PLURAL},
        }
        try:
            status = await self._api.review(SUBJECT_ACCESS_REVIEWS, spec)
        except ApiError as error:
            raise _unavailable(error) from error
        if status.get("allowed"):
            return None
        return f"{user.name} may not {verb.value} {PLURAL}.{GROUP} in the namespace {namespace}."


def _unavailable(error: ApiError) -> UnavailableError:
    return UnavailableError(f"The Kubernetes API does not say who this is: {error}", retry_after=RETRY_AFTER_SECONDS)
