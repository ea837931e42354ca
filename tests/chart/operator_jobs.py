"""Jobs as the operator's builders make them, with every feature that shapes a pod."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.operator.builders.manifests import context

from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.builders.jobs import build_job
from talkingvideo_operator.builders.stage_input import build_config_map, build_stage_input
from talkingvideo_operator.planning.decision import CreateJob

Manifest = dict[str, Any]

PROFILES: dict[str, Manifest] = {
    "plain": {
        "workerImage": "worker:1",
        "engine": "preview",
        "stores": {"default": {"s3": {"bucket": "media", "secretName": "s3"}}},
    },
    "gpu": {
        "workerImage": "registry.example/worker@sha256:" + "a" * 64,
        "engine": "infinitetalk",
        "gpu": {"resource": "nvidia.com/gpu"},
        "weightsClaim": "weights",
        "weightsPath": "/models",
        "compileCacheClaim": "kernels",
        "imagePullSecrets": ["pull"],
        "stores": {"default": {"s3": {"bucket": "media", "serviceAccountName": "media-writer"}}},
        "render": {
            "nodeSelector": {"gpu": "true"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "resources": {"limits": {"memory": "64Gi"}},
        },
    },
    "open": {
        "workerImage": "worker:2",
        "engine": "preview",
        "stores": {"default": {"pvc": {"claim": "media", "path": "tv"}}},
        "allow": {
            "secrets": ["auth", {"name": "auth", "hosts": ["*"]}, {"name": "auth.example.com", "hosts": ["*"]}],
            "claims": ["inputs", "films"],
            "priorityClasses": ["urgent"],
            "overrides": ["nodeSelector", "tolerations", "resources", "imagePullSecrets"],
        },
    },
}
"""The profiles that the chart is installed with; each is the default one of some video."""


@dataclass(frozen=True)
class Feature:
    """A video that uses something: its profile, and what differs in its spec and metadata."""

    profile: str
    spec: Manifest = field(default_factory=dict)
    metadata: Manifest = field(default_factory=dict)

    def context(self, namespace: str) -> Any:
        """What the operator would build from in a namespace."""
        spec = {"speech": _speech(_URL), **self.spec}
        return context(PROFILES[self.profile], {"namespace": namespace, **self.metadata}, **spec)


def _speech(*audio: Manifest) -> Manifest:
    return {"speakers": [{"audio": each} for each in audio]}


MOST_LORAS = 8
_URL = {"uri": "https://e.com/a.wav"}

FEATURES = {
    "keys in a Secret": Feature("plain"),
    "a name with dots": Feature("plain", metadata={"name": "a.long.name." + "x" * 60}),
    "a queue of Kueue": Feature("plain", {"queueName": "gpu"}),
    "a cloud identity, weights, a kernel cache and a GPU": Feature("gpu"),
    "several GPUs": Feature("gpu", {"render": {"gpusPerChunk": 4}}),
    "a store on a volume": Feature("open"),
    "headers from a Secret": Feature("open", {"speech": _speech({**_URL, "headersSecretName": "auth.example.com"})}),
    "inputs from a claim and a ConfigMap": Feature(
        "open",
        {"source": {"image": {"uri": "pvc://inputs/a.png"}}, "speech": _speech({"uri": "configmap://sounds/a.wav"})},
    ),
    "LoRAs": Feature("open", {"render": {"loras": [{"uri": "configmap://loras/a.safetensors"}]}}),
    "as many inputs as there can be": Feature(
        "open",
        {
            "source": {"image": {"uri": "pvc://inputs/a.png"}},
            "speech": _speech({**_URL, "headersSecretName": "auth"}, {"uri": "configmap://sounds/a.wav"}),
            "render": {"loras": [{"uri": f"configmap://loras-{number}/a.safetensors"} for number in range(MOST_LORAS)]},
            "output": {"pvc": {"claim": "films"}},
        },
    ),
    "a result on a claim": Feature("open", {"output": {"pvc": {"claim": "films"}}}),
    "a priority": Feature("open", {"priority": "urgent"}),
    "overrides": Feature(
        "open",
        {
            "overrides": {
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "resources": {"limits": {"memory": "9Gi"}},
                "imagePullSecrets": ["auth"],
            },
        },
    ),
}


def jobs_of(feature: Feature, namespace: str) -> list[Manifest]:
    """The Job of each stage of a video."""
    built = feature.context(namespace)
    chunks = {Stage.RENDER: 0}
    return [build_job(built, CreateJob(stage, 0, chunks.get(stage))) for stage in Stage]


def job_of(feature: Feature, namespace: str, stage: Stage) -> Manifest:
    """The Job of one stage."""
    return next(
        job for job in jobs_of(feature, namespace) if job["metadata"]["labels"]["talkingvideo.dev/stage"] == stage
    )


def config_map_of(feature: Feature, namespace: str) -> Manifest:
    """The ConfigMap with the stage input of a video."""
    built = feature.context(namespace)
    video: Video = built.video
    return build_config_map(video, build_stage_input(video, built.spec, built.effective, built.profile))
