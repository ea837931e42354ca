"""Puts a gateway in front of a cluster together: connection, identities, application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from kubernetes.aio.client import ApiClient

from talkingvideo_clients.kube.api import Api
from talkingvideo_clients.kube.connection import configuration
from talkingvideo_gateway.app import create_app
from talkingvideo_gateway.cluster.backend import cluster_backend
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.identity.caller import Authenticator, Caller, Rights
from talkingvideo_gateway.identity.credentials import Credentials, TokenSource
from talkingvideo_gateway.identity.kubernetes import KubernetesIdentity
from talkingvideo_gateway.identity.loopback import EverybodyIs
from talkingvideo_gateway.identity.origins import Origins
from talkingvideo_gateway.identity.proxy import ProxyUsers
from talkingvideo_gateway.identity.session import Sessions
from talkingvideo_gateway.identity.tokens import StaticTokens
from talkingvideo_gateway.settings import GatewayConfig
from talkingvideo_gateway.videos.backend import Backend

SHORTEST_KEY = 32


async def cluster_gateway(config: GatewayConfig) -> FastAPI:
    """The application in front of the cluster of this pod, or of the kubeconfig.

    Raises:
        InvalidRequestError: A file that the configuration names cannot be used.
    """
    client = ApiClient(configuration=await configuration())
    api = Api(client)
    default = Caller("everybody", config.namespace, limits=config.limits)
    key, origins, how = link_key(config.link_key), Origins(config.public_url), config.authentication
    sources: list[TokenSource] = []
    rights: Rights | None = None
    if how.tokens is not None:
        sources.append(StaticTokens(how.tokens, default, config.cluster.namespaces))
    if how.kubernetes is not None:
        rights = kubernetes = KubernetesIdentity(api, how.kubernetes, default, config.cluster.namespaces)
        sources.append(kubernetes)
    authenticator = _authenticator(config, default, sources, key, origins)
    return create_app(config, _connected(client, cluster_backend(api, config.cluster)), authenticator, key, rights)


def link_key(file: Path | None) -> str:
    """The key in a file.

    Raises:
        InvalidRequestError: There is none, or it is too short to keep a secret.
    """
    if file is None:
        raise InvalidRequestError(
            "It is needed in a cluster: the file of a Secret, shared by replicas.", field="linkKey"
        )
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{file} cannot be read: {error}", field="linkKey") from error
    if len(key) < SHORTEST_KEY:
        raise InvalidRequestError(f"{file} has fewer than {SHORTEST_KEY} characters.", field="linkKey")
    return key


def _authenticator(
    config: GatewayConfig, default: Caller, sources: Sequence[TokenSource], key: str, origins: Origins
) -> Authenticator:
    how = config.authentication
    if not how.is_configured:
        return EverybodyIs(default, origins)
    sessions = Sessions(key, how.session_hours, config.public_url)
    return Credentials(sources, sessions, None if how.proxy is None else ProxyUsers(how.proxy, default), origins)


@asynccontextmanager
async def _connected(client: ApiClient, backend: AbstractAsyncContextManager[Backend]) -> AsyncIterator[Backend]:
    async with client, backend as opened:
        yield opened
