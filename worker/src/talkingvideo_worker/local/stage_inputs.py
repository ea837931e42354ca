"""Makes the stage inputs of a local run: what the operator does in a cluster, with a profile for this machine."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec

from talkingvideo_api.effective import resolve
from talkingvideo_api.engines import INFINITETALK, PREVIEW
from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits, Network, Profile, PvcStore, Store
from talkingvideo_api.resource import TalkingVideo
from talkingvideo_api.revision import revision_of
from talkingvideo_api.spec import Output
from talkingvideo_api.stage_input import Locations, StageInput
from talkingvideo_api.support import unsupported, without_effect
from talkingvideo_api.uris import LOCAL_SCHEMES
from talkingvideo_clients.stores.environment import connection_from_environment
from talkingvideo_worker.engines.infinitetalk.weights.files import CONFIG
from talkingvideo_worker.engines.registry import engine_names, require_engine
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.weights.location import weights_location

LOCAL_PROFILE = "local"
"""Name of the profile."""


def make_stage_input(video: TalkingVideo, engine: str, locations: LocalLocations) -> StageInput:
    """Make the stage input of a video.

    Args:
        video: The video.
        engine: Engine of videos that do not set ``spec.engine``.
        locations: Folders of results and chunks.

    Raises:
        StageError: E_NOT_SUPPORTED when the engine is not installed or does not support what the spec requests,
            E_INPUT_VALIDATION when the result would replace an input.
    """
    locations.require_apart_from_inputs(video)
    spec, metadata = video.spec, video.metadata
    revision = revision_of(spec)
    uid = hashlib.sha256(f"{metadata.namespace}/{metadata.name}".encode()).hexdigest()[:32]
    profile = local_profile(engine)
    effective = resolve(spec, profile, profile_name=LOCAL_PROFILE, uid=uid, revision=revision)
    require_engine(effective.engine)
    for problem in unsupported(spec, effective, profile):
        raise StageError(ErrorCode.NOT_SUPPORTED, problem.message, field=problem.field)
    namespace_folder = locations.workspace.resolve() / metadata.namespace
    return StageInput(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=uid,
        revision=revision,
        spec=spec,
        effective=effective.model_copy(update={"overwrite": True}),
        locations=Locations(
            workspace=(namespace_folder / f"{metadata.name}-{revision}").as_uri(),
            chunks=(namespace_folder / "chunks").as_uri(),
            result=(locations.out.resolve() / locations.result(metadata.name).name).as_uri(),
        ),
        s3=connection_from_environment(),
        limits=InputLimits(),
        network=Network(schemes=LOCAL_SCHEMES),
        input_buckets=("*",),
    )


def warnings_of(stage_input: StageInput) -> list[str]:
    """Fields of the spec that have no effect for the engine or in a local run, as sentences."""
    output = stage_input.spec.output or Output()
    fields = [name for name in ("store", "s3", "pvc", "name") if getattr(output, name) is not None]
    local = [
        f"spec.output.{field} has no effect in a local run: the command's options say where results are"
        for field in fields
    ]
    return without_effect(stage_input.spec, stage_input.effective) + local


def local_profile(engine: str) -> Profile:
    """Stands in for the administrator's profile: no limits except on inputs, and the machine's own S3 configuration."""
    return Profile(
        worker_image="local",
        engine=engine,
        engines=tuple(engine_names()),
        gpu=None,
        stores={"default": Store(pvc=PvcStore(claim="local"))},
        network=Network(schemes=LOCAL_SCHEMES),
    )


def default_engine() -> str:
    """The engine of a run that names none: infinitetalk if CUDA and the weights are available, otherwise preview.

    The weights are checked first: importing torch takes seconds, which a machine without weights need not wait for.
    """
    return INFINITETALK if (weights_location() / CONFIG).is_file() and _has_cuda() else PREVIEW


def _has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())
