"""Builds the stages' pods: restricted, without Kubernetes credentials, each container with no more than it needs.

`fetch` has network and credentials and parses nothing; `process` parses untrusted media and has no credentials. Files
cross from one to the next by a volume that the writer mounts read-write and the reader read-only; nothing else is shared.
"""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_api.names import Stage
from talkingvideo_api.profile import S3Store
from talkingvideo_api.spec import Overrides, Resources
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.disk import disk_bytes, with_disk
from talkingvideo_operator.builders.metadata import Manifest
from talkingvideo_operator.builders.mounts import (
    CLAIMS,
    CONFIG_MAPS,
    HEADERS,
    STAGE_INPUT_FILE,
    Mount,
    common_mounts,
    input_mounts,
    inputs_mount,
    model_mounts,
    prepared_mount,
    result_mounts,
    unique,
    volumes,
    weights_mount,
    workspace_mounts,
)

USER = 65_532
"""The images' user. No other software uses this id."""

GRACE_SECONDS = 10

NO_FILE = "/nonexistent"
"""A path at which no container has a file or can make one: the root file system is read-only."""

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
    resources = _resources(context, stage, volumes(mount for each in containers for mount in each.mounts))
    *inits, main = (_container(context, container, resources) for container in containers)
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
        "volumes": volumes(mount for each in containers for mount in each.mounts),
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
    stage_input = ["--stage-input", STAGE_INPUT_FILE, "--stage-input-sha256", context.stage_input_sha256]
    workspace = list(workspace_mounts(context))
    if stage is Stage.RENDER:
        args = ["render", *stage_input, "--chunk", str(chunk)]
        mounts = [*common_mounts(context, stage, "render"), *workspace, *model_mounts(context)]
        return [PodContainer("render", args, mounts)]
    if stage is Stage.STITCH:
        mounts = [*common_mounts(context, stage, "stitch"), *workspace, *result_mounts(context, read_only=False)]
        return [PodContainer("stitch", ["stitch", *stage_input], mounts)]
    received, sent = inputs_mount(context, read_only=True), prepared_mount(context, read_only=False)
    checked = prepared_mount(context, read_only=True)
    steps = (
        ("fetch", [inputs_mount(context, read_only=False), *input_mounts(context)], True),
        ("process", [received, sent, *weights_mount(context)], False),
        ("publish", [received, checked, *workspace, *result_mounts(context, read_only=True)], True),
    )
    return [
        PodContainer(
            step,
            ["prepare", "--step", step, *stage_input],
            [*common_mounts(context, stage, step), *mounts],
            has_credentials,
        )
        for step, mounts, has_credentials in steps
    ]


def _container(context: BuildContext, container: PodContainer, resources: Manifest) -> Manifest:
    mounts = unique(container.mounts)
    variables = {
        "TALKINGVIDEO_CLAIMS": CLAIMS,
        "TALKINGVIDEO_CONFIGMAPS": CONFIG_MAPS,
        "TALKINGVIDEO_HEADERS": HEADERS,
        **_configuration(context, container),
    }
    for mount in mounts:
        variables |= mount.env
    env: list[Manifest] = [{"name": name, "value": value} for name, value in variables.items()]
    if container.has_credentials and context.store.s3:
        env += _credentials(context.store.s3)
    return {
        "name": container.name,
        "image": context.image,
        "imagePullPolicy": context.profile.image_pull_policy,
        "args": container.args,
        "env": env,
        "resources": resources,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [mount.volume_mount for mount in mounts],
    }


def _configuration(context: BuildContext, container: PodContainer) -> dict[str, str]:
    """Where libraries look for configuration: nowhere, so that only the operator configures them.

    A service account's identity reaches the SDK by variables that the cluster sets (IRSA, EKS Pod Identity), not by
    files; only where there is one may the SDK also ask a metadata service, which on other platforms stands for it.
    """
    identity = container.has_credentials and context.store.s3 and context.store.s3.service_account_name
    return {
        "HF_HUB_OFFLINE": "1",
        "PYTHONNOUSERSITE": "1",
        "AWS_CONFIG_FILE": NO_FILE,
        "AWS_SHARED_CREDENTIALS_FILE": NO_FILE,
        **({} if identity else {"AWS_EC2_METADATA_DISABLED": "true"}),
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


def _resources(context: BuildContext, stage: Stage, pod_volumes: list[Manifest]) -> Manifest:
    given = _merged(context.stage(stage).resources, _overrides(context, stage).resources)
    resources = with_disk(given, disk_bytes(pod_volumes))
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
