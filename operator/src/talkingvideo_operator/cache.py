"""The operator's cache of the cluster: projections, updated by watches, by relists and by the operator's own writes."""

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
        return next(iter(self.videos.by_owner(uid)), None)

    def jobs_of(self, video: Video) -> tuple[Job, ...]:
        """A video's Jobs. A Job of another namespace is none of them, whatever its labels say."""
        return tuple(job for job in self.jobs.by_owner(video.uid) if job.namespace == video.namespace)

    def pods_of(self, video: Video) -> dict[str, tuple[Pod, ...]]:
        """A video's pods by uid of their Job; a pod of another namespace is none of them."""
        grouped: dict[str, tuple[Pod, ...]] = {}
        for pod in self.pods.by_owner(video.uid):
            if pod.namespace == video.namespace:
                grouped[pod.job_uid] = (*grouped.get(pod.job_uid, ()), pod)
        return grouped

    def mark_deleting(self, job: Job) -> None:
        """Note that a Job's deletion was requested, before its watch reports it."""
        self.jobs.assume(replace(job, deleting=True))
