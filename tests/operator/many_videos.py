"""Many videos of several namespaces, the operator that makes them, and Jobs that end when a test says so."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from tests.operator.fake_api import FakeApi
from tests.operator.fake_cluster import body, config, spec
from tests.operator.termination_messages import success_report

from talkingvideo_api import names
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import encode_report
from talkingvideo_clients.kube.objects import Job, Video
from talkingvideo_clients.kube.records import VideoRecord
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.effects import Effects
from talkingvideo_operator.events import EventRecorder
from talkingvideo_operator.handlers import EventHandlers
from talkingvideo_operator.logs import ProgressReader
from talkingvideo_operator.namespaces import NamespaceReader
from talkingvideo_operator.reconciler import Reconciler
from talkingvideo_operator.workqueue import WorkQueue


def speech(namespace: str) -> dict[str, Any]:
    """A recording in the namespace's own folder of the store."""
    return {"speakers": [{"audio": {"uri": f"s3://media/{namespace}/hello.wav"}}]}


class ManyVideos:
    """The operator with its real queue, reconciler and handlers; the API server is a dictionary."""

    def __init__(self, **settings: Any) -> None:
        self.fake = FakeApi()
        api: Any = self.fake
        self.cache, self.queue = Cache(), WorkQueue()
        configured = config(**settings)
        effects = Effects(api, self.cache, configured, EventRecorder(api, "test"))
        reader = NamespaceReader(api)
        self.reconciler = Reconciler(self.cache, self.queue, effects, ProgressReader(api), reader, configured)
        self.handlers = EventHandlers(self.cache, self.queue, self.reconciler.enqueue_admitted)
        self.most: Counter[Stage] = Counter()
        """The largest number of Jobs of each stage at once."""

    def namespace(self, name: str, **annotations: str) -> None:
        """Create a namespace; ``max_parallel="3"`` sets the annotation ``talkingvideo.dev/max-parallel``."""
        written = {f"{names.GROUP}/{key.replace('_', '-')}": value for key, value in annotations.items()}
        self.fake.objects["namespaces", name] = {"metadata": {"name": name, "annotations": written}}

    def create(self, namespace: str, count: int, **changes: Any) -> list[str]:
        """Create videos; returns their uids."""
        uids = [f"{len(self.fake.objects):08d}-{namespace}-{number}" for number in range(count)]
        for number, uid in enumerate(uids):
            document = body(
                spec(**{"speech": speech(namespace), **changes}),
                uid=uid,
                name=f"{namespace}-{number}",
                namespace=namespace,
            )
            self.fake.objects["talkingvideos", document["metadata"]["name"]] = document
            self.cache.videos.update(VideoRecord.of(document))
            self.queue.add(uid)
        return uids

    def settle(self) -> None:
        """Reconcile until the queue is empty."""

        async def run() -> None:
            while len(self.queue):
                async with self.queue.get() as uid:
                    await self.reconciler.reconcile(uid)
                    self._observe()

        asyncio.run(run())

    def _observe(self) -> None:
        counted = Counter(job.stage for job in self.active())
        self.most |= counted

    def active(self, stage: Stage | None = None) -> list[Job]:
        """Unfinished Jobs."""
        return [job for job in self.cache.jobs.all() if job.unfinished and stage in (None, job.stage)]

    def by_namespace(self, stage: Stage | None = None) -> Counter[str]:
        """Unfinished Jobs by namespace."""
        return Counter(job.namespace for job in self.active(stage))

    def finish(self, job: Job, chunks: int = 4) -> None:
        """A pod of the Job reports success, and the Job is complete; the operator acts on it."""
        manifest: Any = self.fake.objects["jobs", job.name]
        pod: Any = {
            "metadata": {
                "uid": f"pod-{job.uid}",
                "namespace": job.namespace,
                "name": f"{job.name}-x",
                "labels": {names.LABEL_UID: job.owner},
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "uid": job.uid, "controller": True}],
                "resourceVersion": str(self._version()),
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "status": {"phase": "Succeeded", "containerStatuses": [self._ended(job, chunks)]},
        }
        complete = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        manifest["status"] = {"conditions": [complete]}
        manifest["metadata"]["resourceVersion"] = str(self._version())

        async def run() -> None:
            await self.handlers.pod({"type": "MODIFIED", "object": pod})
            await self.handlers.job({"type": "MODIFIED", "object": manifest})

        asyncio.run(run())
        self.settle()

    def age(self, job: Job) -> None:
        """The Job turns out to be months old, and still has no pod."""
        manifest: Any = self.fake.objects["jobs", job.name]
        manifest["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": str(self._version())}
        asyncio.run(self.handlers.job({"type": "MODIFIED", "object": manifest}))
        self.settle()

    def videos(self) -> list[Video]:
        """All videos, as the cache has them."""
        return [record.video() for record in self.cache.videos.all()]

    def status(self, uid: str) -> Any:
        """A video's status."""
        video = self.cache.video(uid)
        assert video is not None
        return video.status

    def _version(self) -> int:
        self.fake.version += 1
        return self.fake.version

    def _ended(self, job: Job, chunks: int) -> dict[str, Any]:
        video = self.cache.video(job.owner)
        assert video is not None
        result = f"s3://media/{video.namespace}/{video.name}-{video.revision}"
        message = encode_report(success_report(job.stage, chunks, job.chunk, result=result))
        ended = {"exitCode": 0, "message": message, "finishedAt": "2026-01-01T00:00:00Z"}
        return {"name": "main", "state": {"terminated": ended}}
