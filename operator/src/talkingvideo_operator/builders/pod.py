"""Pods of the stages: restricted, without Kubernetes credentials, and each container with no more than it needs.

`fetch` has network and credentials and parses nothing; `process` parses strangers' media and has no credentials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from talkingvideo_api.effective import Effective
from talkingvideo_api.names import Stage, order_name
from talkingvideo_api.order import ORDER_KEY
from talkingvideo_api.profile import Profile, S3Store, StagePods, Store
from talkingvideo_api.spec import Output, Overrides, Resources, TalkingVideoSpec, Toleration
from talkingvideo_api.uris import parse_object_uri, scheme_of
from talkingvideo_operator.reconcile.allow import inputs_of
from talkingvideo_operator.reconcile.objects import Video

Manifest = dict[str, Any]

USER = 65_532
"""The images' user: nobody anywhere else."""

GRACE_SECONDS = 10
TMP_SIZE = "256Mi"

ORDER_MOUNT = "/order"
ORDER_FILE = f"{ORDER_MOUNT}/{ORDER_KEY}"
SCRATCH = "/scratch"
CLAIMS = "/mnt/claims"
CONFIG_MAPS = "/mnt/configmaps"
HEADERS = "/mnt/headers"

SKIP_IDENTITY = "eks.amazonaws.com/skip-containers"
"""IRSA's webhook gives every container of a pod the identity; `process` must not have it."""


@dataclass(frozen=True)
class Mount:
    """A volume of the pod and where a container sees it."""

    volume: Manifest
    path: str
    read_only: bool = True

    @property
    def entry(self) -> Manifest:
        """The container's side."""
        return {"name": self.volume["name"], "mountPath": self.path, "readOnly": self.read_only}


@dataclass(frozen=True)
class Context:
    """All that a pod is made of."""

    video: Video
    spec: TalkingVideoSpec
    effective: Effective
    profile: Profile

    @property
    def store(self) -> Store:
        """The store of the workspace."""
        return self.profile.stores[self.effective.store]

    def stage(self, stage: Stage) -> StagePods:
        """The profile's settings for a stage's pods."""
        stages = {
            Stage.PREPARE: self.profile.prepare,
            Stage.RENDER: self.profile.render,
            Stage.STITCH: self.profile.stitch,
        }
        return stages[stage]


def build_pod_spec(context: Context, stage: Stage, chunk: int | None) -> Manifest:
    """The pod of one stage, or of one chunk."""
    inits, main = _containers(context, stage, chunk)
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
        "volumes": _volumes(context, stage),
        "nodeSelector": pods.node_selector | (overrides.node_selector or {}),
        "tolerations": [_toleration(t) for t in tolerations],
        "imagePullSecrets": [{"name": name} for name in dict.fromkeys(pull_secrets)],
        "priorityClassName": context.spec.priority,
        "serviceAccountName": context.store.s3.service_account_name if context.store.s3 else None,
    }
    return {key: value for key, value in spec.items() if value not in (None, [], {})}


def pod_annotations(context: Context) -> dict[str, str]:
    """Annotations that keep a cloud identity away from the container that parses strangers' media."""
    identity = context.store.s3 and context.store.s3.service_account_name
    return {SKIP_IDENTITY: "process"} if identity else {}


def _containers(context: Context, stage: Stage, chunk: int | None) -> tuple[list[Manifest], Manifest]:
    order = ["--order", ORDER_FILE]
    works = list(_workspace_mounts(context))
    if stage is Stage.PREPARE:
        fetch = _container(
            context, stage, "fetch", ["prepare", "--step", "fetch", *order], list(_input_mounts(context)), trusted=True
        )
        process = _container(context, stage, "process", ["prepare", "--step", "process", *order], [], trusted=False)
        publish = ["prepare", "--step", "publish", *order]
        seen = [*works, *_result_mounts(context, read_only=True)]
        return [fetch, process], _container(context, stage, "publish", publish, seen, trusted=True)
    args = ["render", *order, "--chunk", str(chunk)] if stage is Stage.RENDER else ["stitch", *order]
    mounts = [*works, *(_weights(context) if stage is Stage.RENDER else _result_mounts(context, read_only=False))]
    return [], _container(context, stage, stage.value, args, mounts, trusted=True)


def _container(
    context: Context, stage: Stage, name: str, args: list[str], mounts: list[Mount], *, trusted: bool
) -> Manifest:
    """One container; only a trusted one sees credentials."""
    env = [
        {"name": "HOME", "value": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
        {"name": "TMPDIR", "value": SCRATCH},
        {"name": "TALKINGVIDEO_SCRATCH", "value": SCRATCH},
        {"name": "TALKINGVIDEO_CLAIMS", "value": CLAIMS},
        {"name": "TALKINGVIDEO_CONFIGMAPS", "value": CONFIG_MAPS},
        {"name": "TALKINGVIDEO_HEADERS", "value": HEADERS},
    ]
    if stage is Stage.RENDER and context.profile.weights_claim:
        env.append({"name": "TALKINGVIDEO_WEIGHTS", "value": context.profile.weights_path})
    if trusted and context.store.s3:
        env += _credentials(context.store.s3)
    return {
        "name": name,
        "image": context.effective.worker_image,
        "imagePullPolicy": context.profile.image_pull_policy,
        "args": args,
        "env": env,
        "resources": _resources(context, stage),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [mount.entry for mount in _unique([*_own_mounts(context, stage), *mounts])],
    }


def _credentials(store: S3Store) -> list[Manifest]:
    """Credentials by reference: kubelet reads the Secret, the operator never does."""
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


def _resources(context: Context, stage: Stage) -> Manifest:
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


def _overrides(context: Context, stage: Stage) -> Overrides:
    """Overrides are for render pods; pull secrets are needed by every stage."""
    given = context.spec.overrides or Overrides()
    return given if stage is Stage.RENDER else Overrides(image_pull_secrets=given.image_pull_secrets)


def _toleration(toleration: Toleration) -> Manifest:
    return toleration.to_dict()


def _volumes(context: Context, stage: Stage) -> list[Manifest]:
    mounts = [*_own_mounts(context, stage), *_workspace_mounts(context)]
    if stage is Stage.PREPARE:
        mounts += [*_input_mounts(context), *_result_mounts(context, read_only=True)]
    if stage is Stage.RENDER:
        mounts += _weights(context)
    if stage is Stage.STITCH:
        mounts += _result_mounts(context, read_only=False)
    return [mount.volume for mount in _unique(mounts)]


def _own_mounts(context: Context, stage: Stage) -> Iterator[Mount]:
    video = context.video
    order = {"name": "order", "configMap": {"name": order_name(video.name, video.uid, video.revision or "")}}
    yield Mount(order, ORDER_MOUNT)
    scratch = {"name": "scratch", "emptyDir": {"sizeLimit": context.stage(stage).scratch}}
    yield Mount(scratch, SCRATCH, read_only=False)
    yield Mount({"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}}, "/tmp", read_only=False)  # noqa: S108


def _input_mounts(context: Context) -> Iterator[Mount]:
    """Volumes that inputs name. What is missing is left out, so that the stage can say which input lacks it."""
    for _, media in inputs_of(context.spec):
        scheme = scheme_of(media.uri)
        if scheme == "pvc":
            yield _claim(parse_object_uri(media.uri).container, read_only=True)
        if scheme == "configmap":
            name = parse_object_uri(media.uri).container
            volume = {"name": _volume_name("cm", name), "configMap": {"name": name, "optional": True}}
            yield Mount(volume, f"{CONFIG_MAPS}/{name}")
        if secret := media.headers_secret_name:
            volume = {"name": _volume_name("headers", secret), "secret": {"secretName": secret, "optional": True}}
            yield Mount(volume, f"{HEADERS}/{secret}")


def _workspace_mounts(context: Context) -> Iterator[Mount]:
    if context.store.pvc:
        yield _claim(context.store.pvc.claim, read_only=False)


def _result_mounts(context: Context, *, read_only: bool) -> Iterator[Mount]:
    """The volume of ``output.pvc``: stitch writes it, publish looks whether the result's name is taken."""
    output = context.spec.output or Output()
    if output.pvc:
        yield _claim(output.pvc.claim, read_only=read_only)


def _weights(context: Context) -> Iterator[Mount]:
    claim, path = context.profile.weights_claim, context.profile.weights_path
    if claim:
        volume = {"name": "weights", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        yield Mount(volume, path)


def _claim(name: str, *, read_only: bool) -> Mount:
    volume = {"name": _volume_name("claim", name), "persistentVolumeClaim": {"claimName": name}}
    return Mount(volume, f"{CLAIMS}/{name}", read_only)


def _volume_name(kind: str, name: str) -> str:
    """A volume's name is a DNS label, the names of objects are longer and have dots."""
    if len(name) <= 50 and "." not in name:
        return f"{kind}-{name}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{kind}-{digest}"


def _unique(mounts: Iterable[Mount]) -> list[Mount]:
    """One mount a path; where one may write, it may write."""
    found: dict[str, Mount] = {}
    for mount in mounts:
        known = found.get(mount.path)
        if known is None or known.read_only:
            found[mount.path] = mount
    return list(found.values())
