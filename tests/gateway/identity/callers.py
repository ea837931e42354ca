"""A gateway that knows two callers by tokens, one of another namespace, and a user of a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.gateway.serving import LINK_KEY, ServedGateway, served_gateway

from talkingvideo_gateway.identity.caller import Caller, Rights
from talkingvideo_gateway.identity.credentials import Credentials, TokenSource
from talkingvideo_gateway.identity.origins import Origins
from talkingvideo_gateway.identity.proxy import ProxyUsers
from talkingvideo_gateway.identity.session import Sessions
from talkingvideo_gateway.identity.settings import ProxyHeaders
from talkingvideo_gateway.identity.tokens import StaticTokens
from talkingvideo_gateway.settings import GatewayConfig

ALICE, BOB, CAROL = ("token-of-alice-0001", "token-of-bob-000002", "token-of-carol-0003")
"""Alice and Bob share a namespace; Carol has another one."""

DEFAULT = Caller("everybody", "films")


def token_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "alice").write_text(f"{ALICE}\n")
    (folder / "bob").write_text(
        f"token: {BOB}\nprofile: fast\nlimits: {{queue: 1, atOnce: 1, pictureMegabytes: 0.001}}\n"
    )
    (folder / "carol").write_text(f"token: {CAROL}\nnamespace: clips\n")
    return folder


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def gateway_with_tokens(
    tmp_path: Path,
    proxy: ProxyHeaders | None = None,
    sources: Sequence[TokenSource] = (),
    rights: Rights | None = None,
    **config: Any,
) -> AbstractContextManager[ServedGateway]:
    settings = GatewayConfig.model_validate({"namespace": "films", **config})
    known = (StaticTokens(token_folder(tmp_path / "tokens"), DEFAULT), *sources)
    credentials = Credentials(
        known,
        Sessions(LINK_KEY, 12, settings.public_url),
        None if proxy is None else ProxyUsers(proxy, DEFAULT),
        Origins(settings.public_url),
    )
    return served_gateway(tmp_path / "gateway", settings, credentials, rights)
