"""Builds the stage input of a revision, and the ConfigMap that holds it."""

from __future__ import annotations

from talkingvideo_api.effective import Effective
from talkingvideo_api.inputs import inputs_of
from talkingvideo_api.names import LABEL_COMPONENT, stage_input_name
from talkingvideo_api.profile import AllowList, Profile, Store
from talkingvideo_api.spec import Output, TalkingVideoSpec
from talkingvideo_api.stage_input import STAGE_INPUT_KEY, Locations, S3Connection, StageInput
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.builders.metadata import Manifest, child_metadata
from talkingvideo_operator.planning.locations import readable_places, result_location, work_location


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
        locations=locations(video, spec.output or Output(), store, profile.allow),
        s3=_connection(store),
        limits=profile.limits,
        network=profile.network,
        input_buckets=readable_places(video.namespace, store, profile.allow),
        secret_hosts=_secret_hosts(spec, profile.allow),
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


def locations(video: Video, output: Output, store: Store, allow: AllowList) -> Locations:
    """The locations of workspace, chunks and result.

    Workspace and chunks are always in the profile's store; ``output.s3`` and ``output.pvc`` move only the result.

    Raises:
        LocationRefusedError: The result's key could be that of another namespace's file.
    """
    work = work_location(store, video.namespace)
    base = store.s3.public_base_url if store.s3 and output.pvc is None and _same_bucket(output, store) else None
    return Locations(
        workspace=str(work.child(f"{video.name}-{video.uid[:8]}/{video.revision}")),
        chunks=str(work.child("chunks")),
        result=str(result_location(video, output, store, allow)),
        public_base_url=base,
    )


def _same_bucket(output: Output, store: Store) -> bool:
    return store.s3 is not None and (output.s3 is None or output.s3.bucket in (None, store.s3.bucket))


def _secret_hosts(spec: TalkingVideoSpec, allow: AllowList) -> dict[str, tuple[str, ...]]:
    """The hosts that may receive each Secret that an input names."""
    named = {each.reference.headers_secret_name for each in inputs_of(spec)}
    return {name: allow.hosts_of_secret(name) for name in sorted(filter(None, named))}


def _connection(store: Store) -> S3Connection:
    if store.s3 is None:
        return S3Connection()
    return S3Connection(endpoint=store.s3.endpoint, region=store.s3.region, addressing_style=store.s3.addressing_style)
