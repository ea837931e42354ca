"""Profiles: sets of settings that an administrator defines and a user selects by name.

They are part of the operator's configuration (Helm values) and determine where and how work runs, and what an object may
name.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from talkingvideo_api.engines import INFINITETALK, EngineTraits, traits_of
from talkingvideo_api.model import Model
from talkingvideo_api.spec import Preset, Resources, Toleration


class S3Store(Model):
    """A bucket of an S3-compatible service."""

    bucket: str
    """Name of the bucket for workspaces and results."""
    prefix: str = ""
    """Prefix of all keys."""
    endpoint: str | None = None
    """URL of the service. Defaults to AWS."""
    region: str = "us-east-1"
    """Region that requests are signed for."""
    addressing_style: str = "auto"
    """Addressing style of boto3: path, virtual or auto."""
    secret_name: str | None = None
    """Name of a Secret *in the object's namespace* with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    service_account_name: str | None = None
    """Name of a ServiceAccount *in the object's namespace* that has a cloud identity. Replaces secretName."""
    public_base_url: str | None = None
    """URL at which the bucket is publicly readable. ``status.output.url`` is derived from it."""


class PvcStore(Model):
    """A ReadWriteMany volume in the object's namespace."""

    claim: str
    """Name of the PersistentVolumeClaim."""
    path: str = ""
    """Folder in the volume."""


class Store(Model):
    """Storage of workspaces and results. Exactly one of s3 and pvc must be set."""

    s3: S3Store | None = None
    """A bucket of an S3-compatible service."""
    pvc: PvcStore | None = None
    """A shared volume."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Store:
        if (self.s3 is None) == (self.pvc is None):
            raise ValueError("a store needs exactly one of s3 and pvc")
        return self


class Gpu(Model):
    """GPU that a render pod requests."""

    resource: str = "nvidia.com/gpu"
    """Name of the extended resource."""
    price_per_hour: Annotated[float, Field(ge=0)] | None = None
    """Price of one GPU per hour in any currency, for estimates."""


class InputLimits(Model):
    """Limits on the size of inputs."""

    image_bytes: int = 10_000_000
    """Maximum size of an image in bytes."""
    audio_bytes: int = 50_000_000
    """Maximum size of a recording in bytes."""
    video_bytes: int = 500_000_000
    """Maximum size of a source video in bytes."""
    lora_bytes: int = 4_000_000_000
    """Maximum size of all LoRAs that a video fetches together, in bytes."""
    pixels: int = 100_000_000
    """Maximum number of pixels of an image or of a video frame."""
    seconds: float = 7_200
    """Maximum length of the audio in seconds."""


class Network(Model):
    """Hosts that inputs may be fetched from."""

    schemes: tuple[str, ...] = ("https", "s3", "pvc", "configmap", "data")
    """Allowed schemes of input URIs."""
    allowed_hosts: tuple[str, ...] = ()
    """Allowed hosts of https:// inputs, as names or *.domain patterns. All public hosts if empty."""
    open_hosts: tuple[str, ...] = ()
    """Hosts that may resolve to private addresses, such as stores in the cluster."""
    timeout_seconds: float = 600
    """Maximum time for fetching one input, in seconds."""


class AllowList(Model):
    """What an object may name in addition to the profile's own values."""

    secrets: tuple[str, ...] = ()
    """Secrets that headersSecretName, notify and imagePullSecrets may name. ``*`` allows all."""
    claims: tuple[str, ...] = ()
    """PersistentVolumeClaims that pvc:// inputs and output.pvc may name. ``*`` allows all."""
    input_buckets: tuple[str, ...] = ()
    """Buckets that s3:// inputs may name in addition to the store's. ``*`` allows all."""
    output_buckets: tuple[str, ...] = ()
    """Buckets that output.s3 may name in addition to the store's."""
    output_prefixes: tuple[str, ...] = ()
    """Prefixes that output.s3 may name in addition to the store's. A prefix allows everything below it."""
    output_names: tuple[str, ...] = ()
    """Prefixes of output.name that are allowed in a bucket in addition to ``{namespace}/``. ``*`` allows all names."""
    priority_classes: tuple[str, ...] = ()
    """PriorityClasses that spec.priority may name, the most urgent first. When GPUs are scarce, objects without one come
    last."""
    overrides: tuple[str, ...] = ()
    """Fields of spec.overrides that are allowed: nodeSelector, tolerations, resources, imagePullSecrets."""


class StagePods(Model):
    """Settings of the pods of one stage."""

    resources: Resources = Resources()
    """Resource requests and limits of the containers."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Tolerations of the pods."""
    scratch: Annotated[str, StringConstraints(pattern=r"^[0-9]+([.][0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$")] = "10Gi"
    """Size limit of each emptyDir volume for files: one in render and stitch pods; in prepare pods the inputs, the prepared
    files, and the temporary files of the two containers that read them. Limits of ephemeral storage follow from it, unless
    resources sets one."""
    deadline_seconds: int = 3_600
    """activeDeadlineSeconds of the *pod*. The Job's deadline would include time spent waiting for a GPU."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Maximum number of attempts before the video fails. Evictions and lost nodes are not counted."""


def _prepare_pods(profile: dict[str, Any]) -> StagePods:
    return StagePods(resources=traits_of(profile.get("engine", "")).prepare)


def _render_pods(profile: dict[str, Any]) -> StagePods:
    return StagePods(resources=traits_of(profile.get("engine", "")).render, attempts=4, deadline_seconds=21_600)


class Profile(Model):
    """A set of settings that users select by name."""

    worker_image: str
    """Image of the stages' pods."""
    image_pull_policy: str = "IfNotPresent"
    """Pull policy of the image."""
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the object's namespace for pulling the image."""
    engine: str = INFINITETALK
    """Engine of objects that do not set spec.engine."""
    engines: tuple[str, ...] = ()
    """Engines that objects may name. All engines of this release if empty. An engine that another distribution installs
    into the worker image must be listed."""
    preset: Preset = Preset.FAST
    """Preset of objects that do not set spec.render.preset."""
    gpu: Gpu | None = Gpu()
    """GPU that a render pod requests; null for an engine that does not need one."""
    weights_claim: str | None = None
    """PersistentVolumeClaim *in the object's namespace* with the models' weights. It is mounted read-only in render pods and
    in the container of prepare that analyses and synthesises speech."""
    weights_path: str = "/weights"
    """Path at which weightsClaim is mounted."""
    compile_cache_claim: str | None = None
    """ReadWriteMany PersistentVolumeClaim *in the object's namespace* in which render pods share compiled GPU kernels.
    Without it each pod compiles its own. Whoever can write to the volume can run code in render pods."""
    shared_memory: str = "8Gi"
    """Size of /dev/shm in render pods with several GPUs (gpusPerChunk above 1). It counts towards the memory limit."""
    stores: dict[str, Store]
    """Stores by name."""
    default_store: str = "default"
    """Store of objects that do not set spec.output.store."""
    prepare: StagePods = Field(default_factory=_prepare_pods)
    """Pods that fetch, check and split the inputs. The memory limit defaults to 4Gi for infinitetalk and to 2Gi for other
    engines."""
    render: StagePods = Field(default_factory=_render_pods)
    """Pods that render. They default to 4 attempts of up to 6 hours; memory defaults to a request of 16Gi and a limit of
    64Gi for infinitetalk, and to a limit of 4Gi for other engines."""
    stitch: StagePods = StagePods(resources=EngineTraits().prepare)
    """Pods that join the chunks. They default to requests of cpu 500m and memory 512Mi, and to limits of cpu 2 and memory
    2Gi."""
    limits: InputLimits = InputLimits()
    """Maximum sizes of inputs."""
    network: Network = Network()
    """Network access for fetching inputs."""
    allow: AllowList = AllowList()
    """What objects may name in addition to the profile's own values."""
    max_parallel_per_namespace: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of concurrent render Jobs in a namespace. Unlimited if not set."""

    @model_validator(mode="before")
    @classmethod
    def _accept_null_as_absent(cls, value: Any) -> Any:
        """Helm writes ``key: null`` where a value was removed; only ``gpu`` gives null a meaning."""
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None or key == "gpu"}
        return value

    @model_validator(mode="after")
    def _default_store_exists(self) -> Profile:
        if self.default_store not in self.stores:
            raise ValueError(f"defaultStore {self.default_store!r} is not one of the stores {sorted(self.stores)}")
        return self
