"""Which engine renders here when nobody says."""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec

from talkingvideo_api.effective import resolve
from talkingvideo_api.engines import INFINITETALK, PREVIEW
from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits, Network, Profile, PvcStore, Store
from talkingvideo_api.resource import TalkingVideo
from talkingvideo_api.revision import revision_of
from talkingvideo_api.spec import Output
from talkingvideo_api.stage_input import Locations, S3Connection, StageInput
from talkingvideo_api.support import unsupported, without_effect
from talkingvideo_api.uris import LOCAL_SCHEMES
from talkingvideo_worker.engines.infinitetalk.weights.files import CONFIG
from talkingvideo_worker.engines.registry import engine_names, require_engine
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.weights.location import weights_location


def default_engine() -> str:
    """The real one where CUDA and weights are there, else the preview.

    Weights are looked for first: importing torch takes seconds, which a machine without them need not wait for.
    """
    return INFINITETALK if (weights_location() / CONFIG).is_file() and _has_cuda() else PREVIEW


def _has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


LOCAL_PROFILE = "local"


def local_profile(engine: str) -> Profile:
    """What stands in for the administrator: no limits but those on inputs, and the machine's own configuration of S3."""
    return Profile(
        worker_image="local",
        engine=engine,
        engines=tuple(engine_names()),
        gpu=None,
        stores={"default": Store(pvc=PvcStore(claim="local"))},
        network=Network(schemes=LOCAL_SCHEMES),
    )


def make_stage_input(video: TalkingVideo, engine: str, locations: LocalLocations) -> StageInput:
    """Resolve a video into the order of a local run.

    Raises:
        StageError: E_NOT_SUPPORTED for what is not built yet.
    """
    spec, metadata = video.spec, video.metadata
    revision = revision_of(spec)
    uid = hashlib.sha256(f"{metadata.namespace}/{metadata.name}".encode()).hexdigest()[:32]
    profile = local_profile(engine)
    effective = resolve(spec, profile, profile_name=LOCAL_PROFILE, uid=uid, revision=revision)
    require_engine(effective.engine)
    for missing in unsupported(spec, effective, profile):
        raise StageError(ErrorCode.NOT_SUPPORTED, missing.message, field=missing.field)
    work = locations.workspace.resolve()
    return StageInput(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=uid,
        revision=revision,
        spec=spec,
        effective=effective.model_copy(update={"overwrite": True}),
        locations=Locations(
            workspace=(work / metadata.namespace / f"{metadata.name}-{revision}").as_uri(),
            chunks=(work / metadata.namespace / "chunks").as_uri(),
            result=(locations.out.resolve() / metadata.name).as_uri(),
        ),
        s3=_s3_of_environment(),
        limits=InputLimits(),
        network=Network(schemes=LOCAL_SCHEMES),
        input_buckets=("*",),
    )


def warnings_of(stage_input: StageInput) -> list[str]:
    """What the engine, or a run without a cluster, has no use for."""
    output = stage_input.spec.output or Output()
    given = [name for name in ("store", "s3", "pvc", "name") if getattr(output, name) is not None]
    elsewhere = [
        f"spec.output.{name} has no effect here: results are in --out, called after the object" for name in given
    ]
    return without_effect(stage_input.spec, stage_input.effective) + elsewhere


def _s3_of_environment() -> S3Connection:
    """The variables that AWS's own tools read; credentials are read by boto3 itself."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return S3Connection(endpoint=endpoint, region=region)
