"""Builds the stages' pods: restricted, without Kubernetes credentials, each container with no more than it needs.

`fetch` has network and credentials and parses nothing; `process` parses untrusted media and has no credentials.
"""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_api.names import Stage
from talkingvideo_api.profile import S3Store
from talkingvideo_api.spec import Overrides, Resources
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.metadata import Manifest
from talkingvideo_operator.builders.mounts import (
    CLAIMS,
    CONFIG_MAPS,
    HEADERS,
    STAGE_INPUT_FILE,
    Mount,
    common_mounts,
    input_mounts,
    model_mounts,
    result_mounts,
    unique,
    weights_mount,
    workspace_mounts,
)

USER = 65_532
"""The images' user. No other software uses this id."""

GRACE_SECONDS = 10

SKIP_IDENTITY = "eks.amazonaws.com/skip-containers"
"""IRSA's webhook gives the pod's cloud identity to every container not named here; `process` must not have it."""


@dataclass(frozen=True)
class PodContainer:
    """A container of a pod.

    Attributes:
        name: Its name.
        args: Arguments of ``talkingvideo``.
        mounts: What it sees. The pod has the volumes of all of its containers' mounts.
        has_credentials: Whether it gets the store's credentials.
    """

    name: str
    args: list[str]
    mounts: list[Mount]
    has_credentials: bool = True


def build_pod_spec(context: BuildContext, stage: Stage, chunk: int | None) -> Manifest:
    """The pod of one stage, or of one chunk."""
    containers = _containers(context, stage, chunk)
    *inits, main = (_container(context, stage, container) for container in containers)
    pods, overrides = context.stage(stage), _overrides(context, stage)
    tolerations = [*pods.tolerations, *(overrides.tolerations or ())]
    pull_secrets = [*context.profile.image_pull_secrets, *(overrides.image_pull_secrets or ())]
    spec: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "activeDeadlineSeconds": pods.deadline_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": inits,
        "containers": [main],
        "volumes": [mount.volume for mount in unique(mount for each in containers for mount in each.mounts)],
        "nodeSelector": pods.node_selector | (overrides.node_selector or {}),
        "tolerations": [toleration.to_dict() for toleration in tolerations],
        "imagePullSecrets": [{"name": name} for name in dict.fromkeys(pull_secrets)],
        "priorityClassName": context.spec.priority,
        "serviceAccountName": context.store.s3.service_account_name if context.store.s3 else None,
    }
    return {key: value for key, value in spec.items() if value not in (None, [], {})}


def pod_annotations(context: BuildContext) -> dict[str, str]:
    """Annotations that keep a cloud identity from the container that parses untrusted media."""
    identity = context.store.s3 and context.store.s3.service_account_name
    return {SKIP_IDENTITY: "process"} if identity else {}


def _containers(context: BuildContext, stage: Stage, chunk: int | None) -> list[PodContainer]:
    """The containers in the order in which they run; the last one is the pod's main container."""
    stage_input = ["--stage-input", STAGE_INPUT_FILE]
    common, workspace = list(common_mounts(context, stage)), list(workspace_mounts(context))
    if stage is Stage.RENDER:
        args = ["render", *stage_input, "--chunk", str(chunk)]
        return [PodContainer("render", args, [*common, *workspace, *model_mounts(context)])]
    if stage is Stage.STITCH:
        mounts = [*common, *workspace, *result_mounts(context, read_only=False)]
        return [PodContainer("stitch", ["stitch", *stage_input], mounts)]
    steps = (
        ("fetch", input_mounts(context), True),
        ("process", weights_mount(context), False),
        ("publish", [*workspace, *result_mounts(context, read_only=True)], True),
    )
    return [
        PodContainer(step, ["prepare", "--step", step, *stage_input], [*common, *mounts], has_credentials)
        for step, mounts, has_credentials in steps
    ]


def _container(context: BuildContext, stage: Stage, container: PodContainer) -> Manifest:
    mounts = unique(container.mounts)
    env: list[Manifest] = [
        {"name": "TALKINGVIDEO_CLAIMS", "value": CLAIMS},
        {"name": "TALKINGVIDEO_CONFIGMAPS", "value": CONFIG_MAPS},
        {"name": "TALKINGVIDEO_HEADERS", "value": HEADERS},
        {"name": "HF_HUB_OFFLINE", "value": "1"},
    ]
    env += [{"name": name, "value": value} for mount in mounts for name, value in mount.env.items()]
    if container.has_credentials and context.store.s3:
        env += _credentials(context.store.s3)
    return {
        "name": container.name,
        "image": context.image,
        "imagePullPolicy": context.profile.image_pull_policy,
        "args": container.args,
        "env": env,
        "resources": _resources(context, stage),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [mount.volume_mount for mount in mounts],
    }


def _credentials(store: S3Store) -> list[Manifest]:
    """Credentials by reference: the kubelet reads the Secret, the operator never does."""
    if store.secret_name is None:
        return []

    def key(name: str, *, optional: bool) -> Manifest:
        reference = {"name": store.secret_name, "key": name, "optional": optional}
        return {"name": name, "valueFrom": {"secretKeyRef": reference}}

    return [
        key("AWS_ACCESS_KEY_ID", optional=False),
        key("AWS_SECRET_ACCESS_KEY", optional=False),
        key("AWS_SESSION_TOKEN", optional=True),
    ]


def _resources(context: BuildContext, stage: Stage) -> Manifest:
    resources = _merged(context.stage(stage).resources, _overrides(context, stage).resources)
    if stage is Stage.RENDER and context.profile.gpu:
        gpus = {context.profile.gpu.resource: str(context.effective.gpus_per_chunk)}
        resources = {**resources, "limits": {**resources.get("limits", {}), **gpus}}
    return resources


def _merged(base: Resources, over: Resources | None) -> Manifest:
    merged = {
        "requests": {**(base.requests or {}), **((over.requests if over else None) or {})},
        "limits": {**(base.limits or {}), **((over.limits if over else None) or {})},
    }
    return {key: value for key, value in merged.items() if value}


def _overrides(context: BuildContext, stage: Stage) -> Overrides:
    """Overrides apply to render pods; pull secrets to the pods of every stage."""
    given = context.spec.overrides or Overrides()
    return given if stage is Stage.RENDER else Overrides(image_pull_secrets=given.image_pull_secrets)
