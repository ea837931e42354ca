"""Profiles: sets of settings that an administrator defines and a user selects by name.

They are part of the operator's configuration (Helm values) and determine where and how work runs, and what an object may
name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from talkingvideo_api.engines import ENGINES, INFINITETALK, EngineTraits, traits_of
from talkingvideo_api.keys import key_problem, template_problem
from talkingvideo_api.model import Model
from talkingvideo_api.spec import Preset, Resources, Toleration

NAMESPACE = "{namespace}"
"""Placeholder for the namespace of the object in places that inputs may come from."""

HOST_PATTERN = re.compile(r"\*|(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


def _normal_folder(path: str) -> str:
    """A folder that a result may lie in: an author's folders are compared with it."""
    folder = path.strip("/")
    if "*" in folder:
        raise ValueError(
            f"the folder {path!r} contains '*', which stands for nothing here; outputNames can allow all keys"
        )
    if folder and (problem := key_problem(folder)):
        raise ValueError(f"the folder {path!r} {problem}")
    return folder


def _normal_place(place: str) -> str:
    """A bucket, or a folder of one."""
    bucket = place.partition("/")[0]
    problem = key_problem(place.removesuffix("/").replace(NAMESPACE, "x"))
    if place != "*" and (problem or "*" in place or "{" in bucket or "{" in place.replace(NAMESPACE, "")):
        raise ValueError(f"{place!r} must be BUCKET, BUCKET/FOLDER/ (which may contain {NAMESPACE}) or '*'")
    return place


def _normal_host(pattern: str) -> str:
    if not HOST_PATTERN.fullmatch(pattern):
        raise ValueError(f"{pattern!r} must be the name of a host, '*.DOMAIN', or '*' for all hosts")
    return pattern


def _valid_beginning(template: str) -> str:
    if problem := template_problem(template):
        raise ValueError(f"the template {template!r} {problem}")
    return template


Folder = Annotated[str, AfterValidator(_normal_folder)]
Place = Annotated[str, AfterValidator(_normal_place)]
Beginning = Annotated[str, Field(min_length=1), AfterValidator(_valid_beginning)]
HostPattern = Annotated[str, AfterValidator(_normal_host)]


class S3Store(Model):
    """A bucket of an S3-compatible service."""

    bucket: str
    """Name of the bucket for workspaces and results."""
    prefix: Folder = ""
    """Prefix of all keys, a folder. No part of it may begin with a dot."""
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
    path: Folder = ""
    """Folder in the volume. No part of it may begin with a dot."""


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
    """Maximum number of pixels of an image or of a video frame. A WebP may have 50 million, a video frame 35.6 million."""
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


class AllowedSecret(Model):
    """A Secret that objects may name, and the hosts that may receive it."""

    name: str
    """Name of the Secret *in the object's namespace*. ``*`` stands for every name."""
    hosts: tuple[HostPattern, ...] = ()
    """Hosts that headersSecretName may send it to, as names or *.domain patterns. ``*`` allows all hosts: an author can then
    send the values of the Secret to a host of their own, and read them there."""


class AllowList(Model):
    """What an object may name in addition to the profile's own values."""

    secrets: tuple[str | AllowedSecret, ...] = ()
    """Secrets that objects may name. A plain name allows imagePullSecrets and notify; headersSecretName needs an entry with
    the hosts that the Secret is meant for. ``*`` allows all names."""
    claims: tuple[str, ...] = ()
    """PersistentVolumeClaims that pvc:// inputs and output.pvc may name. ``*`` allows all."""
    input_buckets: tuple[Place, ...] = ()
    """Places that s3:// inputs may come from, in addition to the folder of the object's namespace in the store: a bucket, or
    a folder of a bucket such as ``media/inputs/`` or ``media/{namespace}/``. A bucket without a folder is readable as a whole,
    with the results of all namespaces in it. ``*`` allows all buckets that the store's credentials open."""
    output_buckets: tuple[str, ...] = ()
    """Buckets that output.s3 may name in addition to the store's."""
    output_prefixes: tuple[Folder, ...] = ()
    """Folders in which results may lie in addition to the store's prefix. In each of them every namespace has a folder of its
    own name, and its results lie there."""
    output_names: tuple[Beginning, ...] = ()
    """Beginnings of results' keys, relative to the store's prefix or an output prefix, that are allowed in a bucket in addition
    to the namespace's own folder. They may contain the placeholders of output.name. ``*`` allows all names. Authors who share
    a beginning can overwrite each other's results."""
    priority_classes: tuple[str, ...] = ()
    """PriorityClasses that spec.priority may name, the most urgent first. When GPUs are scarce, objects without one come
    last."""
    overrides: tuple[str, ...] = ()
    """Fields of spec.overrides that are allowed: nodeSelector, tolerations, resources, imagePullSecrets."""
    worker_images: tuple[str, ...] = ()
    """Earlier values of workerImage with which videos that began with them may be finished. An unfinished video whose image is
    neither workerImage nor one of these starts again from prepare with workerImage."""

    def allows_secret(self, name: str) -> bool:
        """Whether an object may name a Secret."""
        return any(entry.name in (name, "*") for entry in self._secrets)

    def hosts_of_secret(self, name: str) -> tuple[str, ...]:
        """The hosts that may receive a Secret as headers."""
        return tuple(host for entry in self._secrets if entry.name in (name, "*") for host in entry.hosts)

    @property
    def _secrets(self) -> tuple[AllowedSecret, ...]:
        return tuple(AllowedSecret(name=each) if isinstance(each, str) else each for each in self.secrets)


class SelectorOperator(StrEnum):
    """How a requirement of a label selector compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelRequirement(Model):
    """A requirement of a label selector."""

    key: str
    """Key of the label."""
    operator: SelectorOperator
    """In, NotIn, Exists or DoesNotExist."""
    values: tuple[str, ...] = ()
    """Values to compare with; for In and NotIn only."""

    @model_validator(mode="after")
    def _values_where_they_are_compared(self) -> LabelRequirement:
        compares = self.operator in (SelectorOperator.IN, SelectorOperator.NOT_IN)
        if compares != bool(self.values):
            raise ValueError(f"{self.operator.value} {'needs' if compares else 'takes no'} values")
        return self

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it. As in Kubernetes, a label that is absent has none of the values."""
        match self.operator:
            case SelectorOperator.IN:
                return labels.get(self.key) in self.values
            case SelectorOperator.NOT_IN:
                return labels.get(self.key) not in self.values
            case SelectorOperator.EXISTS:
                return self.key in labels
            case SelectorOperator.DOES_NOT_EXIST:
                return self.key not in labels


class LabelSelector(Model):
    """A label selector, as in Kubernetes: everything in it must hold. An empty one selects everything."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    """Labels with exactly these values."""
    match_expressions: tuple[LabelRequirement, ...] = ()
    """Further requirements."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet all requirements."""
        exact = all(labels.get(key) == value for key, value in self.match_labels.items())
        return exact and all(requirement.matches(labels) for requirement in self.match_expressions)


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
    """Maximum number of GPUs with which a namespace renders at the same time; without gpu, a chunk counts as one. Unlimited if
    not set. The annotation talkingvideo.dev/max-parallel of the Namespace takes precedence."""
    namespace_selector: LabelSelector | None = None
    """Labels of the Namespaces that the profile serves. All namespaces if not set. An object in another namespace that names
    the profile, also by default, fails."""

    def allows_engine(self, engine: str) -> bool:
        """Whether videos may be rendered with an engine."""
        return engine == self.engine or engine in (self.engines or ENGINES)

    def allows_image(self, image: str) -> bool:
        """Whether pods of unfinished videos may run an image."""
        return image == self.worker_image or image in self.allow.worker_images

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
