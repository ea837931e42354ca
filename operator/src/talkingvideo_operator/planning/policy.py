"""Checks a spec against the profile's allow-list, field by field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from string import Formatter

from talkingvideo_api.inputs import inputs_of
from talkingvideo_api.model import Model
from talkingvideo_api.names import DNS_SUBDOMAIN
from talkingvideo_api.profile import AllowList, Profile, Store
from talkingvideo_api.spec import MediaReference, Output, TalkingVideoSpec
from talkingvideo_api.uris import parse_object_uri, scheme_of

PLACEHOLDERS = ("namespace", "name", "revision", "date")
"""The placeholders of ``spec.output.name``."""

OWN_FOLDER = "{namespace}/"
"""A prefix of results' names that every profile allows."""

MAX_NAME = 253

OVERRIDES = ("node_selector", "tolerations", "resources", "image_pull_secrets")


@dataclass(frozen=True)
class Refusal:
    """A field whose value the profile does not allow."""

    field: str
    message: str


def refusals(spec: TalkingVideoSpec, profile: Profile) -> Iterator[Refusal]:
    """Yield everything that the profile does not allow, in the order of the spec."""
    for each in inputs_of(spec):
        yield from _input(each.path, each.reference, spec, profile)
    if spec.engine and profile.engines and spec.engine not in profile.engines:
        yield Refusal("spec.engine", f"the profile allows the engines {', '.join(profile.engines)}")
    yield from _output(spec.output or Output(), profile)
    if spec.notify and spec.notify.secret_name:
        yield from _named("spec.notify.secretName", "Secret", spec.notify.secret_name, profile.allow.secrets)
    if spec.priority:
        yield from _named("spec.priority", "priority class", spec.priority, profile.allow.priority_classes)
    yield from _overrides(spec.overrides, profile.allow)


def _input(path: str, media: MediaReference, spec: TalkingVideoSpec, profile: Profile) -> Iterator[Refusal]:
    scheme = scheme_of(media.uri)
    if scheme not in profile.network.schemes:
        yield Refusal(f"{path}.uri", f"the profile allows inputs from {', '.join(profile.network.schemes)}")
    if media.headers_secret_name:
        yield from _named(f"{path}.headersSecretName", "Secret", media.headers_secret_name, profile.allow.secrets)
    if scheme not in ("s3", "pvc", "configmap"):
        return
    try:
        location = parse_object_uri(media.uri)
    except ValueError as error:
        yield Refusal(f"{path}.uri", str(error))
        return
    if scheme != "s3" and not _is_object_name(location.container):
        yield Refusal(f"{path}.uri", f"{location.container[:80]!r} is not a name of a Kubernetes object")
        return
    if scheme == "pvc":
        yield from _named(f"{path}.uri", "PersistentVolumeClaim", location.container, profile.allow.claims)
    if scheme == "s3" and location.container not in readable_buckets(spec, profile):
        yield from _named(f"{path}.uri", "bucket", location.container, profile.allow.input_buckets)


def _is_object_name(name: str) -> bool:
    return len(name) <= MAX_NAME and re.fullmatch(DNS_SUBDOMAIN, name) is not None


def readable_buckets(spec: TalkingVideoSpec, profile: Profile) -> tuple[str, ...]:
    """The buckets from which inputs may be read: the store's own and those that the profile lists."""
    store = profile.stores.get((spec.output.store if spec.output else None) or profile.default_store)
    own = (store.s3.bucket,) if store and store.s3 else ()
    return (*own, *(bucket for bucket in profile.allow.input_buckets if bucket not in own))


def _output(output: Output, profile: Profile) -> Iterator[Refusal]:
    name = output.store or profile.default_store
    store = profile.stores.get(name)
    if store is None:
        yield Refusal("spec.output.store", f"the profile has the stores {', '.join(sorted(profile.stores))}")
        return
    if output.name:
        yield from _output_name(output.name)
        if store.s3 and not output.pvc:
            yield from _shared_name(output.name, profile.allow)
    if output.pvc:
        yield from _named("spec.output.pvc.claim", "PersistentVolumeClaim", output.pvc.claim, profile.allow.claims)
    if output.s3:
        yield from _s3_output(output, store, profile.allow)


def _output_name(template: str) -> Iterator[Refusal]:
    field = "spec.output.name"
    try:
        pieces = [
            (name, spec, conversion) for _, name, spec, conversion in Formatter().parse(template) if name is not None
        ]
    except ValueError:
        pieces = [("", "", None)]
    if any(name not in PLACEHOLDERS or spec or conversion for name, spec, conversion in pieces):
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        yield Refusal(field, f"the template may contain {known} only, without conversion or format")
        return
    key = template.format(**dict.fromkeys(PLACEHOLDERS, "x"))
    parts = key.split("/")
    if ".." in parts or "" in parts:
        yield Refusal(field, "the name must not begin or end with '/', or contain '..' or '//'")
    if parts[0] == "work":
        yield Refusal(field, "names below work/ are reserved for workspaces")


def _shared_name(template: str, allow: AllowList) -> Iterator[Refusal]:
    """A bucket serves several namespaces: unless the profile allows more, each one's results stay in its own folder."""
    allowed = (OWN_FOLDER, *allow.output_names)
    if "*" not in allowed and not template.startswith(allowed):
        prefixes = ", ".join(allowed)
        yield Refusal("spec.output.name", f"the name must begin with a prefix that the profile allows: {prefixes}")


def _s3_output(output: Output, store: Store, allow: AllowList) -> Iterator[Refusal]:
    if output.s3 is None:
        return
    if store.s3 is None:
        yield Refusal("spec.output.s3", "the store is a volume, not a bucket")
        return
    bucket, prefix = output.s3.bucket, output.s3.prefix
    if bucket and bucket != store.s3.bucket:
        yield from _named("spec.output.s3.bucket", "bucket", bucket, allow.output_buckets)
    if prefix is not None and not _below(prefix, (*allow.output_prefixes, *filter(None, (store.s3.prefix,)))):
        allowed = [f"{p}…" for p in allow.output_prefixes] or ["no other prefix"]
        yield Refusal("spec.output.s3.prefix", f"the profile allows {', '.join(allowed)}")


def _below(prefix: str, allowed: tuple[str, ...]) -> bool:
    if ".." in prefix.split("/"):
        return False
    return "*" in allowed or any(f"{prefix}/".startswith(f"{a.rstrip('/')}/") for a in allowed)


def _overrides(overrides: Model | None, allow: AllowList) -> Iterator[Refusal]:
    if overrides is None:
        return
    for name in OVERRIDES:
        given = getattr(overrides, name)
        public = type(overrides).model_fields[name].alias or name
        if given is not None and public not in allow.overrides:
            yield Refusal(f"spec.overrides.{public}", "the profile does not allow this override")
    for index, secret in enumerate(getattr(overrides, "image_pull_secrets", None) or ()):
        yield from _named(f"spec.overrides.imagePullSecrets[{index}]", "Secret", secret, allow.secrets)


def _named(field: str, what: str, name: str, allowed: tuple[str, ...]) -> Iterator[Refusal]:
    permits: Callable[[str], bool] = {*allowed}.__contains__
    if not (permits(name) or permits("*")):
        yield Refusal(field, f"the profile does not allow the {what} {name!r}")
