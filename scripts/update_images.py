"""Writes the digests that images' tags have now to where they are pinned: ``make update-images``, with a network.

A registry is asked as the OCI distribution specification says; one that wants a token says where an anonymous one is given.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILES = ("Dockerfile.gateway", "Dockerfile.operator", "Dockerfile.worker")
PLACES = (*DOCKERFILES, ".github/workflows/ci.yml")
"""Files that name images by digest."""

PINNED = re.compile(r"(?P<name>[\w.-]+(?:/[\w.-]+)+:[\w.-]+)@(?P<digest>sha256:[0-9a-f]{64})")
"""An image with registry, tag and digest."""

REGISTRIES = {"docker.io": "https://registry-1.docker.io"}
"""Addresses of registries whose images bear another host's name."""

INDEX_TYPES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def renewed(text: str, registries: dict[str, str]) -> str:
    """A file's text with the digests that the tags in it have now."""
    return PINNED.sub(lambda found: f"{found['name']}@{digest_of(found['name'], registries)}", text)


def digest_of(image: str, registries: dict[str, str]) -> str:
    """The digest of a tag's index, which covers all platforms.

    Args:
        image: Registry, repository and tag, such as ``docker.io/library/python:3.11-slim-bookworm``.
        registries: Addresses by the host in the image's name; the host itself by https where there is none.

    Raises:
        LookupError: The registry states no digest.
        OSError: It cannot be reached, or refuses.
    """
    host, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    url = f"{registries.get(host, f'https://{host}')}/v2/{repository}/manifests/{tag}"
    headers = {"Accept": ", ".join(INDEX_TYPES)}
    try:
        found = _digest(url, headers)
    except urllib.error.HTTPError as refused:
        if refused.code != 401:
            raise
        headers["Authorization"] = f"Bearer {_token(refused.headers.get('WWW-Authenticate', ''))}"
        found = _digest(url, headers)
    if DIGEST.fullmatch(found) is None:
        raise LookupError(f"{host} states no digest of {image}")
    return found


def _digest(url: str, headers: dict[str, str]) -> str:
    request = urllib.request.Request(url, headers=headers, method="HEAD")  # noqa: S310 https, or a test's own server
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return str(answer.headers.get("Docker-Content-Digest", ""))


def _token(challenge: str) -> str:
    """An anonymous token, from where the registry's challenge says."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({key: asked[key] for key in ("service", "scope") if key in asked})
    with urllib.request.urlopen(f"{asked['realm']}?{query}", timeout=30) as answer:  # noqa: S310
        given = json.load(answer)
    return str(given.get("token") or given.get("access_token"))


def main(root: Path = ROOT, registries: dict[str, str] = REGISTRIES) -> None:
    """Renew all files, or none."""
    texts = {root / name: (root / name).read_text() for name in PLACES}
    for file, text in {file: renewed(text, registries) for file, text in texts.items()}.items():
        if text != texts[file]:
            print(f"{file.name}: renewed", file=sys.stderr)
            file.write_text(text)


if __name__ == "__main__":
    main()
