"""What is known of the cluster: projections, fed by watches, by resyncs and by the operator's own writes.

A dict of our own instead of kopf's indices, whose start-up time is quadratic in the number of objects.
"""

from __future__ import annotations

from dataclasses import replace

from talkingvideo_clients.kube.index import Index
from talkingvideo_clients.kube.objects import Job, Pod, Video


class Cache:
    """Videos, Jobs and pods."""

    def __init__(self) -> None:
        self.videos: Index[Video] = Index()
        self.jobs: Index[Job] = Index()
        self.pods: Index[Pod] = Index()

    def video(self, uid: str) -> Video | None:
        """The video of that uid."""
        return next(iter(self.videos.of(uid)), None)

    def jobs_of(self, video: Video) -> tuple[Job, ...]:
        """A video's Jobs. Labels of another namespace's Jobs say nothing of it."""
        return tuple(job for job in self.jobs.of(video.uid) if job.namespace == video.namespace)

    def pods_of(self, video: Video) -> dict[str, tuple[Pod, ...]]:
        """A video's pods by their Job's uid, likewise."""
        grouped: dict[str, tuple[Pod, ...]] = {}
        for pod in self.pods.of(video.uid):
            if pod.namespace == video.namespace:
                grouped[pod.job_uid] = (*grouped.get(pod.job_uid, ()), pod)
        return grouped

    def mark_deleting(self, job: Job) -> None:
        """Note that a Job was asked to go, before its watch says so."""
        self.jobs.correct(replace(job, deleting=True))
