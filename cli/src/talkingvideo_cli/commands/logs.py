"""``logs``: what the pods of a video have printed, in the order of its stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from talkingvideo_api import names
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import ProgressLine
from talkingvideo_cli.commands.session import Session
from talkingvideo_cli.exits import CommandError, ExitStatus
from talkingvideo_cli.printing import out, tell
from talkingvideo_clients.kube.api import PODS, ApiError

ORDER = {stage.value: place for place, stage in enumerate(Stage)}


@dataclass(frozen=True, order=True)
class StagePod:
    """A pod of a stage, ordered as the work is done.

    Attributes:
        place: Place of the stage.
        chunk: Index of the chunk; -1 without one.
        attempt: From 0.
        name: Name of the pod.
        stage: Name of the stage.
        containers: Names of the containers that have started.
    """

    place: int
    chunk: int
    attempt: int
    name: str
    stage: str
    containers: tuple[str, ...]

    @classmethod
    def of(cls, body: dict[str, Any]) -> StagePod:
        """Read a pod as the API returns it.

        Raises:
            ValueError: Its labels are none of the operator's.
        """
        labels, status = body["metadata"]["labels"], body.get("status") or {}
        stage = Stage(labels.get(names.LABEL_STAGE, ""))
        states = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        started = tuple(each["name"] for each in states if "waiting" not in (each.get("state") or {"waiting": {}}))
        chunk, attempt = int(labels.get(names.LABEL_CHUNK, -1)), int(labels.get(names.LABEL_ATTEMPT, 0))
        return cls(ORDER[stage], chunk, attempt, body["metadata"]["name"], stage.value, started)

    @property
    def title(self) -> str:
        """What it does, for people."""
        part = f"{self.stage}-{self.chunk}" if self.chunk >= 0 else self.stage
        return f"{part}, attempt {self.attempt}" if self.attempt else part


async def show_logs(session: Session, name: str, stage: Stage | None, chunk: int | None) -> None:
    """Print the logs of a video's pods.

    Args:
        session: The cluster.
        name: Name of the object.
        stage: Only pods of this stage; all when absent.
        chunk: Only pods of this chunk; all when absent.

    Raises:
        CommandError: There are no pods.
    """
    uid = (await session.get(name))["metadata"]["uid"]
    selector = f"{names.LABEL_UID}={uid}"
    pages = [page async for page in session.api.pages(PODS, session.namespace, selector)]
    pods = [pod for page in pages for pod in _readable(page["items"]) if _wanted(pod, stage, chunk)]
    if not pods:
        raise CommandError(
            ExitStatus.NOT_FOUND,
            f"{name} has no such pods (yet, or any more: they are deleted some time after its end)",
        )
    for pod in sorted(pods):
        await _show(session, pod)


def _readable(bodies: list[dict[str, Any]]) -> Iterator[StagePod]:
    """The pods that have the operator's labels: anyone who may create pods may write others."""
    for body in bodies:
        try:
            yield StagePod.of(body)
        except ValueError:
            continue


def _wanted(pod: StagePod, stage: Stage | None, chunk: int | None) -> bool:
    return (stage is None or pod.stage == stage) and (chunk is None or pod.chunk == chunk)


async def _show(session: Session, pod: StagePod) -> None:
    if not pod.containers:
        tell(f"{pod.title}: no container has started")
    for container in pod.containers:
        out(f"==> {pod.title}, container {container} ({pod.name})")
        try:
            async with aclosing(session.api.log_lines(session.namespace, pod.name, container)) as lines:
                async for line in lines:
                    out(in_words(line))
        except ApiError as error:
            if error.status in (401, 403):
                raise
            tell(f"{pod.title}: {error.message}")


def in_words(line: str) -> str:
    """A line of a log; progress, which is logged for the operator, as people read it."""
    if not line.startswith('{"progress":'):
        return line
    try:
        progress = ProgressLine.model_validate_json(line).progress
    except ValidationError:
        return line
    return f"{progress.fraction:4.0%} {progress.message}"
