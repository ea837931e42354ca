"""The operator's cache of the cluster: projections, updated by watches, by relists and by the operator's own writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from talkingvideo_clients.kube.index import Index
from talkingvideo_clients.kube.objects import Job, Pod, Video
from talkingvideo_clients.kube.records import ParsedVideos, VideoRecord

PARSED_VIDEOS = 64
"""Videos that are kept parsed: those that are being reconciled are asked for several times in a row."""


class Cache:
    """Videos, Jobs and pods."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._parsed: ParsedVideos[Video] = ParsedVideos(PARSED_VIDEOS)
        self.videos: Index[VideoRecord] = Index(self._note, self._note)
        self.jobs: Index[Job] = Index(self._note, self._note)
        self.pods: Index[Pod] = Index()

    def _note(self, item: VideoRecord | Job) -> None:
        self._changed.add(item.owner)

    def take_changed(self) -> set[str]:
        """The uids of the videos that have changed, or whose Jobs have, since they were taken last."""
        taken = set(self._changed)
        self._changed.clear()
        return taken

    def video(self, uid: str) -> Video | None:
        """The video of that uid; see `Video.complete`."""
        record = next(iter(self.videos.by_owner(uid)), None)
        return None if record is None else self._parsed.of(record)

    def jobs_of(self, video: Video | VideoRecord) -> tuple[Job, ...]:
        """A video's Jobs. A Job of another namespace is none of them, nor one that nobody owns, whatever its labels say."""
        jobs = self.jobs.by_owner(video.uid)
        return tuple(job for job in jobs if job.namespace == video.namespace and not job.orphaned)

    def orphans(self, uid: str) -> tuple[Job, ...]:
        """The unfinished Jobs whose labels name a video, and that nobody owns."""
        return tuple(job for job in self.jobs.by_owner(uid) if job.orphaned and job.unfinished)

    def pods_of(self, video: Video | VideoRecord) -> dict[str, tuple[Pod, ...]]:
        """The pods of a video's Jobs, by uid of the Job. Anyone who may create pods may write the same labels on others."""
        jobs = {job.uid for job in self.jobs_of(video) if job.uid}
        grouped: dict[str, tuple[Pod, ...]] = {}
        for pod in self.pods.by_owner(video.uid):
            if pod.namespace == video.namespace and pod.job_uid in jobs:
                grouped[pod.job_uid] = (*grouped.get(pod.job_uid, ()), pod)
        return grouped

    def running_pods(self) -> Iterator[Pod]:
        """The running pods of all videos' Jobs."""
        pods = (pod for video in self.videos.all() for own in self.pods_of(video).values() for pod in own)
        return (pod for pod in pods if pod.phase == "Running")

    def mark_deleting(self, job: Job) -> None:
        """Note that a Job's deletion was requested, before its watch reports it."""
        self.jobs.assume(replace(job, deleting=True))
