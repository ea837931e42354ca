"""Calls to the Kubernetes API, with JSON as dictionaries.

`kubernetes.aio` provides connections, credentials and their refresh. Its typed models are not used: they cost ten times
the memory and time of the dictionaries they wrap, and a custom resource has none.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.rest import RESTResponse

from talkingvideo_api.names import GROUP, PLURAL, VERSION

logger = logging.getLogger(__name__)

Body = dict[str, Any]

FIRST_PAGE, LARGEST_PAGE = 10, 500
"""Objects of the first page of a list, and of the largest one."""

PAGE_CHARACTERS = 4_000_000
"""Desired size of a page. Authors decide how large an object is, up to the API server's limit of 1.5 MB."""

REQUEST_SECONDS = 30
WATCH_SECONDS = 240
"""How long the API server is asked to keep one watch open."""
WATCH_SILENCE_SECONDS = 150
"""Silence after which a watch of many objects counts as broken. The server sends a bookmark about once a minute."""
SILENCE_SECONDS = 60
"""How long a stream other than a watch may send nothing."""
MAX_MESSAGE = 4_000
STRICT = {"fieldValidation": "Strict"}
"""Unknown fields are errors, as with ``kubectl``; without it the server drops them."""


@dataclass(frozen=True)
class Resource:
    """A resource of the API, as URLs name it."""

    prefix: str
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """URL path of a collection, an object or a subresource."""
        scope = f"namespaces/{namespace}/" if namespace else ""
        return "/".join(filter(None, (f"{self.prefix}/{scope}{self.plural}", name, subresource)))


VIDEOS = Resource(f"/apis/{GROUP}/{VERSION}", PLURAL)
JOBS = Resource("/apis/batch/v1", "jobs")
PODS = Resource("/api/v1", "pods")
CONFIG_MAPS = Resource("/api/v1", "configmaps")
NAMESPACES = Resource("/api/v1", "namespaces")
EVENTS = Resource("/apis/events.k8s.io/v1", "events")
LEASES = Resource("/apis/coordination.k8s.io/v1", "leases")
TOKEN_REVIEWS = Resource("/apis/authentication.k8s.io/v1", "tokenreviews")
SUBJECT_ACCESS_REVIEWS = Resource("/apis/authorization.k8s.io/v1", "subjectaccessreviews")

REVIEW_KINDS = {TOKEN_REVIEWS: "TokenReview", SUBJECT_ACCESS_REVIEWS: "SubjectAccessReview"}


@dataclass(frozen=True)
class Cause:
    """One of the reasons for which an object is refused."""

    field: str
    """Path in the object; empty where none is named."""
    reason: str
    """Such as FieldValueInvalid."""


class ApiError(Exception):
    """The API server has refused a call, or has not responded.

    Attributes:
        status: HTTP status; 0 without a response.
        message: The server's message.
        reason: The server's reason, such as Invalid; empty without one.
        causes: What is wrong with which field, as far as the server says so.
    """

    def __init__(self, status: int, message: str, reason: str = "", causes: tuple[Cause, ...] = ()) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.reason = reason
        self.causes = causes

    @classmethod
    def of(cls, status: int, text: str) -> ApiError:
        """Read a response, which is a Status object unless something between here and the server has sent it."""
        try:
            body = json.loads(text)
            found = (body.get("details") or {}).get("causes") or ()
            causes = tuple(Cause(str(each.get("field", "")), str(each.get("reason", ""))) for each in found)
            return cls(status, str(body["message"])[:MAX_MESSAGE], str(body.get("reason", "")), causes)
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(status, text[:200])

    @property
    def is_about_the_object(self) -> bool:
        """Whether the server's own validation refuses the object, so that the same one is always refused.

        An admission webhook or policy may refuse with the same status, but may be changed: a webhook says so in its message,
        and a policy names no field.
        """
        if self.message.startswith("admission webhook"):
            return False
        if self.status == HTTPStatus.BAD_REQUEST:
            return self.reason == "BadRequest"
        validated = all(cause.field and cause.reason.startswith("FieldValue") for cause in self.causes)
        return self.status == HTTPStatus.UNPROCESSABLE_ENTITY and bool(self.causes) and validated


class LeaseNotHeldError(Exception):
    """This process does not hold the Lease, so it may not write."""


class Api:
    """Calls to the API server.

    Args:
        client: The connection.
        may_write: Whether this process may write now (an operator: whether it holds the Lease); called before each write.
    """

    def __init__(self, client: ApiClient, may_write: Callable[[], bool] = lambda: True) -> None:
        self._client = client
        self._may_write = may_write

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Body:
        """Read one object; one without a namespace where that is None."""
        return await self._call("GET", resource.path(namespace, name))

    async def pages(self, resource: Resource, namespace: str | None, selector: str = "") -> AsyncGenerator[Body]:
        """List a collection page by page; all pages show the same resource version.

        The pages are as long as the sizes of the previous one's objects suggest, so that a page of large objects does not
        exceed the memory. Whoever has read an item may remove it from the page.
        """
        limit, token = FIRST_PAGE, ""
        while True:
            query = {"limit": str(limit), "labelSelector": selector, "continue": token}
            text = await self._send("GET", resource.path(namespace), query)
            limit = _next_limit(limit, len(text))
            page = _parse(text)
            del text
            token = page["metadata"].get("continue")
            yield page
            if not token:
                return

    async def create(self, resource: Resource, namespace: str, body: Body) -> Body:
        """Create an object."""
        return await self._write("POST", resource.path(namespace), body=body)

    async def check(self, resource: Resource, namespace: str, body: Body) -> Body:
        """Ask the server whether it would create an object; nothing is created, and an unknown field is an error."""
        return await self._write("POST", resource.path(namespace), {"dryRun": "All", **STRICT}, body)

    async def review(self, resource: Resource, spec: Body) -> Body:
        """Ask the server a question that it answers in the status of an object that it does not keep."""
        body = {"apiVersion": resource.prefix.removeprefix("/apis/"), "kind": REVIEW_KINDS[resource], "spec": spec}
        status: Body = (await self._call("POST", resource.path(None), body=body)).get("status") or {}
        return status

    async def merge_patch(self, resource: Resource, namespace: str, name: str, body: Body) -> Body:
        """Change the fields that a merge patch has (RFC 7386); an unknown field is an error."""
        return await self._write("PATCH", resource.path(namespace, name), STRICT, body)

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Body) -> Body:
        """Replace the status; fails with 409 if the object has changed since it was read."""
        return await self._write("PUT", resource.path(namespace, name, "status"), body=body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Body) -> Body:
        """Replace an object, whether or not this process may write: it serves the Lease itself."""
        return await self._call("PUT", resource.path(namespace, name), body=body)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete one object if it has that uid, and what it owns."""
        options: Body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        await self._write("DELETE", resource.path(namespace, name), body=options)

    async def delete_collection(self, resource: Resource, namespace: str, selector: str) -> None:
        """Delete the objects that a selector matches, and what they own."""
        options = {"propagationPolicy": "Background"}
        await self._write("DELETE", resource.path(namespace), {"labelSelector": selector}, options)

    async def watch(self, resource: Resource, namespace: str, name: str, version: str) -> AsyncGenerator[Body]:
        """The events of one object after a resource version, until the server ends the watch.

        The last event may be of type ERROR: the version is too old, and the object has to be read again.
        """
        query = {"fieldSelector": f"metadata.name={name}", "resourceVersion": version}
        timeout = aiohttp.ClientTimeout(total=WATCH_SECONDS + REQUEST_SECONDS)
        async with aclosing(self._events(resource.path(namespace), query, timeout)) as events:
            async for event in events:
                yield event

    async def watch_all(
        self, resource: Resource, namespace: str | None, version: str, selector: str = ""
    ) -> AsyncGenerator[Body]:
        """The events of a collection after a resource version, until the server ends the watch.

        Yields:
            Events as the server sends them: ADDED, MODIFIED, DELETED, and BOOKMARK, which has nothing but a newer version.

        Raises:
            ApiError: With status 410 when the version is too old, so that the collection has to be listed again.
        """
        query = {"allowWatchBookmarks": "true", "resourceVersion": version, "labelSelector": selector}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=WATCH_SILENCE_SECONDS)
        async with aclosing(self._events(resource.path(namespace), query, timeout)) as events:
            async for event in events:
                if event["type"] == "ERROR":
                    raise ApiError.of(int(event["object"].get("code", 0)), json.dumps(event["object"]))
                yield event

    async def _events(self, path: str, query: dict[str, str], timeout: aiohttp.ClientTimeout) -> AsyncGenerator[Body]:
        watched = {"watch": "true", "timeoutSeconds": str(WATCH_SECONDS), **query}
        async with aclosing(self._lines(path, watched, timeout)) as lines:
            async for line in lines:
                yield _parse(line)

    async def log_lines(self, namespace: str, pod: str, container: str) -> AsyncGenerator[str]:
        """A container's log so far, line by line, whatever its size."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS)
        path = PODS.path(namespace, pod, "log")
        async with aclosing(self._lines(path, {"container": container}, timeout)) as lines:
            async for line in lines:
                yield line

    async def log_tail(self, namespace: str, pod: str, container: str, limit: int) -> str:
        """The last bytes of a container's log."""
        query = {"container": container, "tailLines": "20", "limitBytes": str(limit)}
        return await self._send("GET", PODS.path(namespace, pod, "log"), query)

    async def _write(
        self, method: str, path: str, query: dict[str, str] | None = None, body: Body | None = None
    ) -> Body:
        if not self._may_write():
            raise LeaseNotHeldError
        return await self._call(method, path, query, body)

    async def _call(
        self, method: str, path: str, query: dict[str, str] | None = None, body: Body | None = None
    ) -> Body:
        return _parse(await self._send(method, path, query, body))

    async def _send(self, method: str, path: str, query: dict[str, str] | None = None, body: Body | None = None) -> str:
        with _no_response():
            response = await self._request(method, path, query, body, REQUEST_SECONDS)
            text: str = (await response.read()).decode("utf-8", "replace")  # type: ignore[no-untyped-call]
        if method != "GET":
            logger.debug("%s %s: %s", method, path, response.status)
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ApiError.of(response.status, text)
        return text

    async def _lines(self, path: str, query: dict[str, str], timeout: aiohttp.ClientTimeout) -> AsyncGenerator[str]:
        """The lines of a response as they arrive."""
        with _no_response():
            response = await self._request("GET", path, query, None, timeout)
            try:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    content = await response.read()  # type: ignore[no-untyped-call]
                    raise ApiError.of(response.status, content.decode("utf-8", "replace"))
                unfinished = b""
                async for part in response.response.content.iter_any():
                    *lines, unfinished = (unfinished + part).split(b"\n")
                    for line in lines:
                        yield line.decode("utf-8", "replace")
                if unfinished:
                    yield unfinished.decode("utf-8", "replace")
            finally:
                response.response.close()

    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: Body | None,
        timeout: float | aiohttp.ClientTimeout,
    ) -> RESTResponse:
        headers = {"Accept": "*/*" if path.endswith("/log") else "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        serialized = await self._client.param_serialize(
            method,
            path,
            query_params=[(key, value) for key, value in (query or {}).items() if value],
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        return await self._client.call_api(*serialized, _request_timeout=timeout)


@contextmanager
def _no_response() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ApiError(0, f"no response from the API server: {error!r}") from error


def _next_limit(limit: int, characters: int) -> int:
    """The number of objects whose page has the desired size, if they are like those of the last page; at most doubled."""
    return min(limit * PAGE_CHARACTERS // max(characters, 1) or 1, 2 * limit, LARGEST_PAGE)


def _parse(text: str) -> Body:
    try:
        document: Body = json.loads(text)
    except ValueError as error:
        raise ApiError(0, "the API server's response is not JSON") from error
    return document
