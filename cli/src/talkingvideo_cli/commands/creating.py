"""From a picture and a sound to an object in the cluster: what ``submit`` and ``plan`` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from talkingvideo_cli.commands.session import Session
from talkingvideo_cli.files import LocalFile, inline, local_file
from talkingvideo_cli.manifest import Wish, manifest, title_of
from talkingvideo_cli.printing import tell
from talkingvideo_cli.store import StoreOptions, UploadFolder
from talkingvideo_clients.kube.api import VIDEOS


@dataclass(frozen=True)
class Media:
    """How files of this machine reach the cluster.

    Attributes:
        store: ``s3://bucket/prefix``; without it, small files travel in the object.
        options: How to reach the store.
    """

    store: str | None = None
    options: StoreOptions = field(default_factory=StoreOptions)


async def create(session: Session, wish: Wish, media: Media) -> dict[str, Any]:
    """Create the object that a wish describes.

    Files are uploaded once the API server has said that it would accept the object.

    Args:
        session: The cluster.
        wish: What to make. Picture and sounds may be paths.
        media: How files reach the cluster.

    Returns:
        The object.
    """
    files = {given: file for given in (wish.picture, *wish.sounds) if (file := local_file(given)) is not None}
    folder = UploadFolder.of(media.store, session.namespace) if media.store and files else None
    uris = folder.uris(files.values()) if folder else inline(files.values())
    body = manifest(_with_uris(wish, files, uris))
    await session.api.check(VIDEOS, session.namespace, body)
    if folder is not None:
        folder.upload(files.values(), media.options, tell)
    elif files:
        tell("no store is named: the files travel in the object")
    return await session.api.create(VIDEOS, session.namespace, body)


def _with_uris(wish: Wish, files: Mapping[str, LocalFile], uris: Mapping[LocalFile, str]) -> Wish:
    def uri(given: str) -> str:
        return uris[files[given]] if given in files else given

    picture = files.get(wish.picture)
    title = picture.path.name if picture else title_of(wish.picture)
    return replace(wish, picture=uri(wish.picture), sounds=[uri(each) for each in wish.sounds], title=title)
