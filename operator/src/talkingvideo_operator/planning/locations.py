"""Where a video's files lie, and which of an author's wishes would put them into somebody else's folder.

`result_location` is the only way to a result's key: what refuses a spec and what builds the stage input both call it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from talkingvideo_api.effective import DEFAULT_OUTPUT_NAME
from talkingvideo_api.keys import WORK_FOLDER, joined, key_problem, longest_above, rest_below, template_problem
from talkingvideo_api.profile import NAMESPACE, AllowList, Profile, Store
from talkingvideo_api.spec import Output
from talkingvideo_api.uris import ObjectUri
from talkingvideo_clients.kube.objects import Video

NAME_FIELD = "spec.output.name"
PREFIX_FIELD = "spec.output.s3.prefix"
PATH_FIELD = "spec.output.pvc.path"


class LocationRefusedError(ValueError):
    """A result may not lie where the spec puts it.

    Attributes:
        field: The field of the spec to change.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def work_location(store: Store, namespace: str) -> ObjectUri:
    """The folder of a namespace's workspaces and chunks: hidden, so that no result's key can lead to it."""
    return _root(store).child(f"{WORK_FOLDER}/{namespace}")


def result_location(
    video: Video, output: Output, store: Store, allow: AllowList, foreign: Iterable[str] = ()
) -> ObjectUri:
    """Where the result lies, without suffix.

    Args:
        video: The object.
        output: Its spec's output.
        store: The store that it uses.
        allow: What its profile allows.
        foreign: Folders of the same bucket in which other profiles' namespaces have folders.

    Raises:
        LocationRefusedError: The key is hidden or not normal, or is not in the namespace's own folder of a bucket.
    """
    template = output.name or DEFAULT_OUTPUT_NAME
    if problem := template_problem(template):
        raise LocationRefusedError(NAME_FIELD, f"the template {problem}")
    name = _expanded(template, video)
    _require_normal(NAME_FIELD, name)
    if output.pvc is not None:
        return _normal_location("pvc", output.pvc.claim, output.pvc.path or "", name, PATH_FIELD)
    if output.s3 is not None and store.s3 is None:
        raise LocationRefusedError("spec.output.s3", "the store is a volume, not a bucket")
    if store.s3 is None:
        return _normal_location(*_place(store), name, NAME_FIELD)
    bucket, prefix = store.s3.bucket, store.s3.prefix
    if output.s3 is not None:
        bucket = output.s3.bucket or bucket
        prefix = prefix if output.s3.prefix is None else output.s3.prefix
    location = _normal_location("s3", bucket, prefix, name, PREFIX_FIELD)
    _require_own_folder(video, output, location.path, {store.s3.prefix, *allow.output_prefixes}, allow, foreign)
    return location


def readable_places(
    namespace: str, store: Store, allow: AllowList, profiles: Collection[Profile] = ()
) -> tuple[str, ...]:
    """The places that s3:// inputs may come from: the namespace's results in its store, and what the profile lists.

    Where another store begins in the namespace's folder, that folder is not the namespace's alone, and is left out.
    """
    listed = (place.replace(NAMESPACE, namespace) for place in allow.input_buckets)
    if store.s3 is None:
        return tuple(listed)
    own, bucket = joined(store.s3.prefix, namespace), store.s3.bucket
    shared = any(f"{folder}/".startswith(f"{own}/") for folder in shared_folders(profiles, bucket))
    return (*(() if shared else (f"{bucket}/{own}/",)), *listed)


def shared_folders(profiles: Iterable[Profile], bucket: str) -> frozenset[str]:
    """The folders of a bucket in which namespaces have folders, over all stores of all profiles.

    Stores with one bucket's name on different services count as one bucket.
    """
    return frozenset(folder for profile in profiles for folder in _folders_of(profile, bucket))


def _folders_of(profile: Profile, bucket: str) -> Iterator[str]:
    may_name_it = not {bucket, "*"}.isdisjoint(profile.allow.output_buckets)
    for store in profile.stores.values():
        if store.s3 is not None and (may_name_it or store.s3.bucket == bucket):
            yield store.s3.prefix
            yield from profile.allow.output_prefixes


def _require_own_folder(
    video: Video, output: Output, key: str, own: set[str], allow: AllowList, foreign: Iterable[str]
) -> None:
    """Refuse a key that is not in the folder of its namespace.

    The innermost shared folder decides whose folder a key is in: of the key ``a/b/x`` it is that of namespace ``a`` below
    the store's prefix, or that of ``b`` where another store has the prefix ``a``. So every key belongs to one namespace.
    """
    if any((rest := rest_below(folder, key)) is not None and _named(rest, video, allow) for folder in own):
        return
    innermost = longest_above({*own, *foreign}, key)
    rest = None if innermost is None else rest_below(innermost, key)
    if innermost in own and rest is not None and rest.startswith(f"{video.namespace}/"):
        return
    shown = ", ".join(f"{joined(folder, video.namespace)}/" for folder in sorted(own))
    field = PREFIX_FIELD if output.s3 is not None and output.s3.prefix is not None else NAME_FIELD
    if innermost is not None and innermost not in own:
        reason = f"the folder {innermost}/ belongs to another store"
    else:
        reason = f"the profile allows results below {shown}"
        if allow.output_names:
            reason += f", and names that begin with {', '.join(allow.output_names)}"
    raise LocationRefusedError(
        field, f"{reason}; this one would be {key}: the administrator can list others in the profile's allow"
    )


def _named(rest: str, video: Video, allow: AllowList) -> bool:
    """Whether the profile allows a key, relative to a shared folder, by its beginning."""
    return any(begin == "*" or rest.startswith(_expanded(begin, video)) for begin in allow.output_names)


def _expanded(template: str, video: Video) -> str:
    return template.format(
        namespace=video.namespace, name=video.name, revision=video.revision, date=video.created.date().isoformat()
    )


def _normal_location(scheme: str, container: str, prefix: str, name: str, prefix_field: str) -> ObjectUri:
    folder = prefix.strip("/")
    if folder:
        _require_normal(prefix_field, folder)
    key = joined(folder, name)
    _require_normal(NAME_FIELD, key)
    return ObjectUri(scheme, container, key)


def _require_normal(field: str, key: str) -> None:
    if problem := key_problem(key):
        raise LocationRefusedError(field, f"the key {problem}")


def _root(store: Store) -> ObjectUri:
    scheme, container, prefix = _place(store)
    return ObjectUri(scheme, container, prefix)


def _place(store: Store) -> tuple[str, str, str]:
    if store.s3 is not None:
        return "s3", store.s3.bucket, store.s3.prefix
    if store.pvc is not None:
        return "pvc", store.pvc.claim, store.pvc.path
    raise ValueError("a store has exactly one kind")
