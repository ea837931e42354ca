"""What keeps pods from running, as their own status says. The operator reads no Secret; a missing one shows here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from talkingvideo_api.conditions import Reason
from talkingvideo_clients.kube.objects import Job, Pod

STARTING_REASONS = frozenset({"ContainerCreating", "PodInitializing"})
IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})

PodsOf = Callable[[Job], tuple[Pod, ...]]


def find_problem(jobs: Iterable[Job], pods_of: PodsOf, seconds: float, now: datetime) -> tuple[Reason, str] | None:
    """The first problem that has kept one of the Jobs from running for at least ``seconds``."""
    since = now - timedelta(seconds=seconds)
    for job in jobs:
        pods = pods_of(job)
        for pod in pods:
            if pod.phase == "Pending" and pod.created <= since and (problem := problem_of(pod)):
                return problem
        if not pods and not job.suspended and job.created and job.created <= since:
            message = f"Job {job.name} has not created a pod; see kubectl describe job {job.name}"
            return Reason.UNSCHEDULABLE, message
    return None


def awaits_volumes(jobs: Iterable[Job], pods_of: PodsOf, seconds: float, now: datetime) -> bool:
    """Whether a pod may be waiting for its stage input: no container has started although it has a node.

    A pod does not report a missing ConfigMap. One that pulls a large image looks the same.

    Args:
        jobs: The Jobs whose pods are checked.
        pods_of: The pods of each.
        seconds: How long the pod has waited at least.
        now: The time of the decision.
    """
    since = now - timedelta(seconds=seconds)
    pods = (pod for job in jobs for pod in pods_of(job))
    return any(
        pod.phase == "Pending"
        and pod.created <= since
        and pod.started is None
        and any(container.waiting_reason in STARTING_REASONS for container in pod.containers)
        for pod in pods
    )


def problem_of(pod: Pod) -> tuple[Reason, str] | None:
    """What keeps a pod from running, as far as its status says."""
    for container in pod.containers:
        if container.waiting_reason == "CreateContainerConfigError":
            return Reason.STORE_SECRET_MISSING, f"pod {pod.name}: {container.waiting_message}"
        if container.waiting_reason in IMAGE_REASONS:
            message = container.waiting_message or container.waiting_reason
            return Reason.IMAGE_PULL_FAILED, f"pod {pod.name}: {message}"
    if pod.unschedulable:
        return Reason.UNSCHEDULABLE, f"pod {pod.name}: {pod.unschedulable}"
    return None
