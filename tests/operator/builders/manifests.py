"""Manifests of a video that a test describes."""

from typing import Any

from tests.operator.fake_cluster import FakeCluster, body, config, spec

from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.jobs import build_job
from talkingvideo_operator.planning.decision import CreateJob


def context(profile: Any = None, metadata: Any = None, **changes: Any) -> Any:
    settings = config(profile=profile or {})
    cluster = FakeCluster(settings=settings, document=spec(**changes))
    cluster.video = Video.of(body(spec(**changes), **(metadata or {})))
    cluster.reconcile()
    assert cluster.phase == "Preparing", cluster.status.failure
    return BuildContext(cluster.video, cluster.video.spec, cluster.status.effective, settings.profiles["default"])


def pod(ctx: Any, stage: Any = Stage.PREPARE, chunk: Any = None) -> Any:
    return build_job(ctx, CreateJob(stage, 0, chunk))["spec"]["template"]["spec"]


def containers(pod_spec: Any) -> Any:
    return {c["name"]: c for c in [*pod_spec.get("initContainers", []), *pod_spec["containers"]]}


def env(container: Any) -> Any:
    return {e["name"]: e for e in container["env"]}
