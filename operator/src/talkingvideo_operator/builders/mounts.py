"""Builds the volumes of the stages' pods and their mounts in containers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from talkingvideo_api.inputs import inputs_of
from talkingvideo_api.names import Stage, stage_input_name
from talkingvideo_api.spec import Output
from talkingvideo_api.stage_input import INPUTS_FOLDER, PREPARED_FOLDER, STAGE_INPUT_KEY
from talkingvideo_api.uris import parse_object_uri, scheme_of
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.metadata import Manifest

TMP_SIZE = "256Mi"
HOME = "/tmp"  # noqa: S108 - an emptyDir of the container's own
STAGE_INPUT_MOUNT = "/stage-input"
STAGE_INPUT_FILE = f"{STAGE_INPUT_MOUNT}/{STAGE_INPUT_KEY}"
SCRATCH = "/scratch"
CLAIMS = "/mnt/claims"
CONFIG_MAPS = "/mnt/configmaps"
HEADERS = "/mnt/headers"
COMPILE_CACHE = "/compile-cache"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a volume of the pod's own


@dataclass(frozen=True)
class Mount:
    """A volume of the pod, its path in a container, and the environment variables that name it."""

    volume: Manifest
    path: str
    read_only: bool = True
    env: dict[str, str] = field(default_factory=dict)

    @property
    def volume_mount(self) -> Manifest:
        """The entry of the container's ``volumeMounts``."""
        return {"name": self.volume["name"], "mountPath": self.path, "readOnly": self.read_only}


def common_mounts(context: BuildContext, stage: Stage, container: str) -> Iterator[Mount]:
    """The mounts of every container: the stage input, and scratch and home, which no other container sees.

    Programs read configuration from their home and from temporary folders: what one container could write there, another
    would obey.
    """
    video = context.video
    stage_input = {
        "name": "stage-input",
        "configMap": {
            "name": stage_input_name(video.name, video.uid, video.revision or "", context.stage_input_sha256)
        },
    }
    yield Mount(stage_input, STAGE_INPUT_MOUNT)
    scratch = _files(f"scratch-{container}", TMP_SIZE if container == "fetch" else context.stage(stage).scratch)
    yield Mount(scratch, SCRATCH, read_only=False, env=_scratch_env(context, stage))
    yield Mount(_files(f"tmp-{container}", TMP_SIZE), HOME, read_only=False, env={"HOME": HOME})


def inputs_mount(context: BuildContext, *, read_only: bool) -> Mount:
    """The inputs as they came: written by fetch, read by the steps after it."""
    volume = _files("inputs", context.profile.prepare.scratch)
    return Mount(volume, f"{SCRATCH}/{INPUTS_FOLDER}", read_only)


def prepared_mount(context: BuildContext, *, read_only: bool) -> Mount:
    """What becomes the workspace: written by process, read by publish, which checks it file by file."""
    volume = _files("prepared", context.profile.prepare.scratch)
    return Mount(volume, f"{SCRATCH}/{PREPARED_FOLDER}", read_only)


def _files(name: str, size: str) -> Manifest:
    """A volume on the node's disk that lives as long as the pod."""
    return {"name": name, "emptyDir": {"sizeLimit": size}}


def _scratch_env(context: BuildContext, stage: Stage) -> dict[str, str]:
    """Compilers put kernels into scratch where the profile has no claim for them: the home, their default, is small."""
    env = {"TMPDIR": SCRATCH, "TALKINGVIDEO_SCRATCH": SCRATCH}
    compiles = stage is Stage.RENDER and context.profile.compile_cache_claim is None
    return env | _compile_env(f"{SCRATCH}{COMPILE_CACHE}") if compiles else env


def input_mounts(context: BuildContext) -> Iterator[Mount]:
    """Volumes that inputs name. They are optional where possible: the stage itself says which input a missing one is for."""
    for each in inputs_of(context.spec):
        media = each.reference
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


def workspace_mounts(context: BuildContext) -> Iterator[Mount]:
    """The volume of the store, where the store is one."""
    if context.store.pvc:
        yield _claim(context.store.pvc.claim, read_only=False)


def result_mounts(context: BuildContext, *, read_only: bool) -> Iterator[Mount]:
    """The volume of ``output.pvc``: stitch writes to it, publish checks whether the result exists already."""
    output = context.spec.output or Output()
    if output.pvc:
        yield _claim(output.pvc.claim, read_only=read_only)


def model_mounts(context: BuildContext) -> Iterator[Mount]:
    """What a model needs to render: its weights, a folder for compiled kernels, and memory that several GPUs share."""
    yield from weights_mount(context)
    yield from _compile_cache(context)
    if context.effective.gpus_per_chunk > 1:
        volume = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": context.profile.shared_memory}}
        yield Mount(volume, SHARED_MEMORY, read_only=False)


def weights_mount(context: BuildContext) -> Iterator[Mount]:
    """The models' weights, where the profile has a claim for them."""
    claim, path = context.profile.weights_claim, context.profile.weights_path
    if claim:
        volume = {"name": "weights", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        yield Mount(volume, path, env={"TALKINGVIDEO_WEIGHTS": path})


def _compile_cache(context: BuildContext) -> Iterator[Mount]:
    """The claim on which compiled kernels outlive pods; without one they go into scratch."""
    if claim := context.profile.compile_cache_claim:
        volume = {"name": "compile-cache", "persistentVolumeClaim": {"claimName": claim}}
        yield Mount(volume, COMPILE_CACHE, read_only=False, env=_compile_env(COMPILE_CACHE))


def _compile_env(folder: str) -> dict[str, str]:
    return {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor", "TRITON_CACHE_DIR": f"{folder}/triton"}


def _claim(name: str, *, read_only: bool) -> Mount:
    volume = {"name": _volume_name("claim", name), "persistentVolumeClaim": {"claimName": name}}
    return Mount(volume, f"{CLAIMS}/{name}", read_only)


def _volume_name(kind: str, name: str) -> str:
    """A volume's name, which must be a DNS label; objects' names may be longer and have dots."""
    if len(name) <= 50 and "." not in name:
        return f"{kind}-{name}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{kind}-{digest}"


def volumes(mounts: Iterable[Mount]) -> list[Manifest]:
    """The volumes of a pod, each once."""
    return list({mount.volume["name"]: mount.volume for mount in mounts}.values())


def unique(mounts: Iterable[Mount]) -> list[Mount]:
    """One mount per path: the writable one where there are several."""
    found: dict[str, Mount] = {}
    for mount in mounts:
        known = found.get(mount.path)
        if known is None or known.read_only:
            found[mount.path] = mount
    return list(found.values())
