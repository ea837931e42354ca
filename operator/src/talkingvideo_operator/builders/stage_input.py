"""Builds the stage input of a revision, and the ConfigMap that holds it."""

from __future__ import annotations

from talkingvideo_api.effective import Effective
from talkingvideo_api.names import LABEL_COMPONENT, stage_input_name
from talkingvideo_api.profile import Profile, Store
from talkingvideo_api.spec import Output, TalkingVideoSpec
from talkingvideo_api.stage_input import STAGE_INPUT_KEY, Locations, S3Connection, StageInput
from talkingvideo_api.uris import ObjectUri
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.builders.metadata import Manifest, child_metadata
from talkingvideo_operator.planning.policy import readable_buckets


def build_stage_input(video: Video, spec: TalkingVideoSpec, effective: Effective, profile: Profile) -> StageInput:
    """Everything that the stages read about their video. It contains no secret."""
    store = profile.stores[effective.store]
    return StageInput(
        namespace=video.namespace,
        name=video.name,
        uid=video.uid,
        revision=video.revision or "",
        spec=spec,
        effective=effective,
        locations=locations(video, spec.output or Output(), effective, store),
        s3=_connection(store),
        limits=profile.limits,
        network=profile.network,
        input_buckets=readable_buckets(spec, profile),
        price_per_gpu_hour=profile.gpu.price_per_hour if profile.gpu else None,
    )


def build_config_map(video: Video, stage_input: StageInput) -> Manifest:
    """The stage input as an immutable ConfigMap."""
    name = stage_input_name(video.name, video.uid, video.revision or "", stage_input.sha256)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(video, name, {LABEL_COMPONENT: "stage-input"}),
        "immutable": True,
        "data": {STAGE_INPUT_KEY: stage_input.to_json()},
    }


def locations(video: Video, output: Output, effective: Effective, store: Store) -> Locations:
    """The locations of workspace, chunks and result.

    Workspace and chunks are always in the profile's store; ``output.s3`` and ``output.pvc`` move only the result.
    """
    root = _store_root(store)
    work = f"work/{video.namespace}"
    key = effective.output_name.format(
        namespace=video.namespace,
        name=video.name,
        revision=video.revision,
        date=video.created.date().isoformat(),
    )
    result = _result_root(output, store)
    base = store.s3.public_base_url if store.s3 and output.pvc is None and _same_bucket(output, store) else None
    return Locations(
        workspace=str(root.child(f"{work}/{video.name}-{video.uid[:8]}/{video.revision}")),
        chunks=str(root.child(f"{work}/chunks")),
        result=str(result.child(key)),
        public_base_url=base,
    )


def _store_root(store: Store) -> ObjectUri:
    if store.s3 is not None:
        return ObjectUri("s3", store.s3.bucket, store.s3.prefix.strip("/"))
    if store.pvc is not None:
        return ObjectUri("pvc", store.pvc.claim, store.pvc.path.strip("/"))
    raise ValueError("a store has exactly one kind")


def _result_root(output: Output, store: Store) -> ObjectUri:
    if output.pvc is not None:
        return ObjectUri("pvc", output.pvc.claim, (output.pvc.path or "").strip("/"))
    root = _store_root(store)
    if output.s3 is None:
        return root
    prefix = root.path if output.s3.prefix is None else output.s3.prefix.strip("/")
    return ObjectUri("s3", output.s3.bucket or root.container, prefix)


def _same_bucket(output: Output, store: Store) -> bool:
    return store.s3 is not None and (output.s3 is None or output.s3.bucket in (None, store.s3.bucket))


def _connection(store: Store) -> S3Connection:
    if store.s3 is None:
        return S3Connection()
    return S3Connection(endpoint=store.s3.endpoint, region=store.s3.region, addressing_style=store.s3.addressing_style)
