"""Checks a spec against what the profile allows, field by field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from talkingvideo_api.hosts import host_matches, plain_host
from talkingvideo_api.inputs import inputs_of
from talkingvideo_api.keys import WORK_FOLDER, input_problem, is_work
from talkingvideo_api.model import Model
from talkingvideo_api.names import is_object_name
from talkingvideo_api.profile import AllowList, Profile, Store
from talkingvideo_api.spec import MediaReference, Output, TalkingVideoSpec
from talkingvideo_api.uris import parse_object_uri, scheme_of
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.locations import (
    LocationRefusedError,
    readable_places,
    result_location,
    shared_folders,
)

OVERRIDES = ("node_selector", "tolerations", "resources", "image_pull_secrets")


@dataclass(frozen=True)
class Refusal:
    """A field whose value the profile does not allow."""

    field: str
    message: str


def refusals(
    video: Video, spec: TalkingVideoSpec, profile: Profile, profiles: Collection[Profile] = ()
) -> Iterator[Refusal]:
    """Yield everything that the profile does not allow, in the order of the spec.

    Args:
        video: The object.
        spec: Its spec.
        profile: The profile that it uses.
        profiles: All profiles: their stores may share a bucket.
    """
    output = spec.output or Output()
    store = profile.stores.get(output.store or profile.default_store)
    if store is None:
        yield Refusal("spec.output.store", f"the profile has the stores {', '.join(sorted(profile.stores))}")
        return
    places = readable_places(video.namespace, store, profile.allow, profiles)
    for each in inputs_of(spec):
        yield from _input(each.path, each.reference, places, profile)
    if spec.engine and profile.engines and spec.engine not in profile.engines:
        yield Refusal("spec.engine", f"the profile allows the engines {', '.join(profile.engines)}")
    yield from _output(video, output, store, profile, profiles)
    if spec.notify and spec.notify.secret_name:
        yield from _secret("spec.notify.secretName", spec.notify.secret_name, profile.allow)
    if spec.priority:
        yield from _named("spec.priority", "priority class", spec.priority, profile.allow.priority_classes)
    yield from _overrides(spec.overrides, profile.allow)


def _input(path: str, media: MediaReference, places: Collection[str], profile: Profile) -> Iterator[Refusal]:
    scheme = scheme_of(media.uri)
    if scheme not in profile.network.schemes:
        yield Refusal(f"{path}.uri", f"the profile allows inputs from {', '.join(profile.network.schemes)}")
    if media.headers_secret_name:
        yield from _headers(path, media.uri, media.headers_secret_name, profile.allow)
    if scheme not in ("s3", "pvc", "configmap"):
        return
    try:
        location = parse_object_uri(media.uri)
    except ValueError as error:
        yield Refusal(f"{path}.uri", str(error))
        return
    if scheme != "s3" and not is_object_name(location.container):
        yield Refusal(f"{path}.uri", f"{location.container[:80]!r} is not a name of a Kubernetes object")
        return
    if scheme == "pvc":
        yield from _named(f"{path}.uri", "PersistentVolumeClaim", location.container, profile.allow.claims)
    if scheme == "pvc" and is_work(unquote(location.path)):
        yield Refusal(
            f"{path}.uri", f"the folder {WORK_FOLDER} holds the work in progress of all videos, which is no input"
        )
    if scheme == "s3" and (problem := input_problem(location.container, location.path, places)):
        yield Refusal(f"{path}.uri", problem)


def _headers(path: str, uri: str, secret: str, allow: AllowList) -> Iterator[Refusal]:
    """A Secret is sent to the hosts that the administrator has stated for it, since the author chooses the address."""
    field, hosts = f"{path}.headersSecretName", allow.hosts_of_secret(secret)
    if not allow.allows_secret(secret):
        yield from _secret(field, secret, allow)
    elif not hosts:
        remedy = f"allow.secrets: [{{name: {secret}, hosts: [HOST]}}]"
        yield Refusal(
            field,
            f"the profile does not say which hosts may receive the Secret {secret!r}; the administrator can add them to the "
            f"profile as {remedy}",
        )
    elif (host := plain_host(uri)) is None:
        yield Refusal(f"{path}.uri", "with headersSecretName the host must consist of letters, digits, '-' and '.'")
    elif not host_matches(host, hosts):
        yield Refusal(field, f"the profile allows {', '.join(hosts)} to receive the Secret {secret!r}, and not {host}")


def _output(
    video: Video, output: Output, store: Store, profile: Profile, profiles: Collection[Profile]
) -> Iterator[Refusal]:
    bucket = (output.s3.bucket if output.s3 else None) or (store.s3.bucket if store.s3 else None)
    if store.s3 and bucket and bucket != store.s3.bucket:
        yield from _named("spec.output.s3.bucket", "bucket", bucket, profile.allow.output_buckets)
    if output.pvc:
        yield from _named("spec.output.pvc.claim", "PersistentVolumeClaim", output.pvc.claim, profile.allow.claims)
    try:
        result_location(video, output, store, profile.allow, shared_folders(profiles, bucket) if bucket else ())
    except LocationRefusedError as refused:
        yield Refusal(refused.field, str(refused))


def _overrides(overrides: Model | None, allow: AllowList) -> Iterator[Refusal]:
    if overrides is None:
        return
    for name in OVERRIDES:
        given = getattr(overrides, name)
        public = type(overrides).model_fields[name].alias or name
        if given is not None and public not in allow.overrides:
            yield Refusal(f"spec.overrides.{public}", "the profile does not allow this override")
    for index, secret in enumerate(getattr(overrides, "image_pull_secrets", None) or ()):
        yield from _secret(f"spec.overrides.imagePullSecrets[{index}]", secret, allow)


def _secret(field: str, name: str, allow: AllowList) -> Iterator[Refusal]:
    if not allow.allows_secret(name):
        yield Refusal(field, f"the profile does not allow the Secret {name!r}")


def _named(field: str, what: str, name: str, allowed: tuple[str, ...]) -> Iterator[Refusal]:
    permits: Callable[[str], bool] = {*allowed}.__contains__
    if not (permits(name) or permits("*")):
        yield Refusal(field, f"the profile does not allow the {what} {name!r}")
