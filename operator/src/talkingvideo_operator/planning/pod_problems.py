"""What holds pods up, as they say it themselves. The operator reads no Secret; a missing one shows here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from talkingvideo_api.conditions import Reason
from talkingvideo_clients.kube.objects import Job, Pod
from talkingvideo_operator.planning.context import Children

STARTING_REASONS = frozenset({"ContainerCreating", "PodInitializing"})
IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})


def find_problem(jobs: Iterable[Job], children: Children, seconds: float, now: datetime) -> tuple[Reason, str] | None:
    """The first thing that keeps one of the Jobs from running for longer than ``seconds``."""
    patience = now - timedelta(seconds=seconds)
    for job in jobs:
        pods = children.pods_of(job)
        for pod in pods:
            if pod.phase == "Pending" and pod.created <= patience and (found := _reason(pod)):
                return found
        if not pods and not job.suspended and job.created and job.created <= patience:
            message = f"Job {job.name} could create no pod; kubectl describe job {job.name} says why"
            return Reason.UNSCHEDULABLE, message
    return None


def awaits_volumes(jobs: Iterable[Job], children: Children, seconds: float, now: datetime) -> bool:
    """Whether a pod may be waiting for the order: on its node since ``seconds``, and no container has begun.

    A pod does not say that a ConfigMap is missing. One that pulls a large image looks the same.
    """
    patience = now - timedelta(seconds=seconds)
    pods = (pod for job in jobs for pod in children.pods_of(job))
    return any(
        pod.phase == "Pending"
        and pod.created <= patience
        and pod.started is None
        and any(container.waiting_reason in STARTING_REASONS for container in pod.containers)
        for pod in pods
    )


def _reason(pod: Pod) -> tuple[Reason, str] | None:
    for container in pod.containers:
        if container.waiting_reason == "CreateContainerConfigError":
            return Reason.STORE_SECRET_MISSING, f"pod {pod.name}: {container.waiting_message}"
        if container.waiting_reason in IMAGE_REASONS:
            message = container.waiting_message or container.waiting_reason
            return Reason.IMAGE_PULL_FAILED, f"pod {pod.name}: {message}"
    if pod.unschedulable:
        return Reason.UNSCHEDULABLE, f"pod {pod.name}: {pod.unschedulable}"
    return None
