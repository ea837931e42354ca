"""Profiles: what the administrator decides, and a user picks by name.

They live in the operator's configuration (Helm values) and say where and how work runs and what an object may name.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from talkingvideo_api.engines import INFINITETALK, EngineTraits, traits_of
from talkingvideo_api.model import Model
from talkingvideo_api.spec import Preset, Resources, Toleration


class S3Store(Model):
    """An S3 bucket, of any maker."""

    bucket: str
    """Bucket of workspaces and results."""
    prefix: str = ""
    """Every key begins with it."""
    endpoint: str | None = None
    """URL of the service; AWS when absent."""
    region: str = "us-east-1"
    """Region for signatures."""
    addressing_style: str = "auto"
    """path, virtual or auto, as in boto3."""
    secret_name: str | None = None
    """Secret *in the object's namespace* with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    service_account_name: str | None = None
    """ServiceAccount *in the object's namespace* that carries a cloud identity, instead of a Secret."""
    public_base_url: str | None = None
    """Where the bucket is readable by everybody; ``status.output.url`` is made of it."""


class PvcStore(Model):
    """A ReadWriteMany volume in the object's namespace."""

    claim: str
    """Name of the PersistentVolumeClaim."""
    path: str = ""
    """Folder in it."""


class Store(Model):
    """Where workspaces and results are kept: exactly one kind."""

    s3: S3Store | None = None
    """In S3."""
    pvc: PvcStore | None = None
    """On a shared volume."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Store:
        if (self.s3 is None) == (self.pvc is None):
            raise ValueError("a store needs exactly one of s3 and pvc")
        return self


class Gpu(Model):
    """What a render pod asks of a node."""

    resource: str = "nvidia.com/gpu"
    """Extended resource name."""
    price_per_hour: Annotated[float, Field(ge=0)] | None = None
    """For estimates, in any currency, of one GPU."""


class InputLimits(Model):
    """How large strangers' media may be."""

    image_bytes: int = 10_000_000
    """Bytes of a picture."""
    audio_bytes: int = 50_000_000
    """Bytes of a recording."""
    video_bytes: int = 500_000_000
    """Bytes of a video to dub."""
    lora_bytes: int = 4_000_000_000
    """Bytes of all LoRAs that a video fetches, together."""
    pixels: int = 100_000_000
    """Width times height of a picture or of a video's frame."""
    seconds: float = 7_200
    """Length of the sound."""


class Network(Model):
    """Which hosts inputs may be fetched from."""

    schemes: tuple[str, ...] = ("https", "s3", "pvc", "configmap", "data")
    """Schemes that inputs may have."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts (or *.domains) of https:// inputs; every public one when empty."""
    open_hosts: tuple[str, ...] = ()
    """Hosts that may resolve to private addresses: in-cluster stores."""
    timeout_seconds: float = 600
    """Longest time for one input."""


class AllowList(Model):
    """What an object may name beyond the profile's own values."""

    secrets: tuple[str, ...] = ()
    """Secrets for headersSecretName, notify and imagePullSecrets. ``*`` allows every one."""
    claims: tuple[str, ...] = ()
    """PersistentVolumeClaims of pvc:// inputs and output.pvc. ``*`` allows every one."""
    input_buckets: tuple[str, ...] = ()
    """Buckets of s3:// inputs beside the store's own. ``*`` allows every one."""
    output_buckets: tuple[str, ...] = ()
    """Buckets of output.s3 beside the store's own."""
    output_prefixes: tuple[str, ...] = ()
    """Prefixes of output.s3 beside the store's own; an allowed prefix allows what begins with it."""
    output_names: tuple[str, ...] = ()
    """How output.name may begin in a bucket, beside ``{namespace}/``. ``*`` allows every name."""
    priority_classes: tuple[str, ...] = ()
    """Priority classes, most urgent first; objects without one come last when GPUs are short."""
    overrides: tuple[str, ...] = ()
    """Which of nodeSelector, tolerations, resources, imagePullSecrets may be overridden."""


class StagePods(Model):
    """Pods of one stage."""

    resources: Resources = Resources()
    """Requests and limits of its containers."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes to use."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pods accept."""
    scratch: str = "10Gi"
    """Size limit of the emptyDir for temporary files."""
    deadline_seconds: int = 3_600
    """activeDeadlineSeconds of the *pod*: a Job's own would run while it waits for a GPU."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """How often a stage is tried before the video fails. Evictions and lost nodes are not counted."""


def _prepare_pods(profile: dict[str, Any]) -> StagePods:
    return StagePods(resources=traits_of(profile.get("engine", "")).prepare)


def _render_pods(profile: dict[str, Any]) -> StagePods:
    return StagePods(resources=traits_of(profile.get("engine", "")).render, attempts=4, deadline_seconds=21_600)


class Profile(Model):
    """One named set."""

    worker_image: str
    """Image of the stages."""
    image_pull_policy: str = "IfNotPresent"
    """As in a container's spec."""
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the object's namespace."""
    engine: str = INFINITETALK
    """Engine of objects that name none."""
    engines: tuple[str, ...] = ()
    """Engines that objects may name; every one when empty."""
    preset: Preset = Preset.FAST
    """Preset of objects that name none."""
    gpu: Gpu | None = Gpu()
    """GPU of a render pod; null for an engine that needs none."""
    weights_claim: str | None = None
    """PersistentVolumeClaim *in the object's namespace* with the models' weights, mounted read-only where they are used:
    by render pods, and by the container of prepare that hears and speaks."""
    weights_path: str = "/weights"
    """Where it is mounted."""
    compile_cache_claim: str | None = None
    """ReadWriteMany PersistentVolumeClaim *in the object's namespace* where render pods keep compiled GPU kernels, which
    each pod compiles for itself otherwise. Who may write it has code run in render pods."""
    shared_memory: str = "8Gi"
    """Size of /dev/shm in render pods with several GPUs (gpusPerChunk above 1). It counts against the memory limit."""
    stores: dict[str, Store]
    """Stores by name."""
    default_store: str = "default"
    """Store of objects that name none."""
    prepare: StagePods = Field(default_factory=_prepare_pods)
    """Pods that fetch, check and split. When absent: 4Gi of memory at most for infinitetalk, 2Gi for other engines."""
    render: StagePods = Field(default_factory=_render_pods)
    """Pods that render. When absent: 4 attempts of up to 6 hours, with 16Gi to 64Gi of memory for infinitetalk and 4Gi at
    most for other engines."""
    stitch: StagePods = StagePods(resources=EngineTraits().prepare)
    """Pods that join."""
    limits: InputLimits = InputLimits()
    """Size of inputs."""
    network: Network = Network()
    """Hosts of inputs."""
    allow: AllowList = AllowList()
    """What objects may name."""
    max_parallel_per_namespace: Annotated[int, Field(ge=1)] | None = None
    """Render Jobs at once in one namespace; unlimited when absent."""

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
