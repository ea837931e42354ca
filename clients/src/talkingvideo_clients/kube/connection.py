"""How to reach the API server, the same for every client: by the pod's ServiceAccount, elsewhere by kubeconfig."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from talkingvideo_clients.kube.api import Api

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
FALLBACK_NAMESPACE = "talkingvideo-system"
DEFAULT_KUBECONFIG = "~/.kube/config"


async def configuration() -> Configuration:
    """Load the configuration. The client reads in-cluster tokens again as they rotate."""
    loaded = Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=loaded)  # type: ignore[no-untyped-call]
    else:
        file = os.environ.get("KUBECONFIG")
        await config.load_kube_config(config_file=file, client_configuration=loaded)  # type: ignore[no-untyped-call]
    return loaded


class KubeconfigError(Exception):
    """A kubeconfig cannot be used."""


@dataclass(frozen=True)
class Context:
    """What a person has chosen with the flags that ``kubectl`` has, too.

    Attributes:
        kubeconfig: The file; that of ``KUBECONFIG`` or of the user when absent.
        context: Name of a context in it; its current one when absent.
        namespace: The namespace; the context's when absent.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None


@asynccontextmanager
async def connected(chosen: Context) -> AsyncIterator[tuple[Api, str]]:
    """Connect as ``kubectl`` does, with a person's credentials.

    Yields:
        The API, and the namespace to work in.

    Raises:
        KubeconfigError: There is no kubeconfig, it has no such context, or it is damaged.
    """
    loaded = Configuration()
    file = str(chosen.kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG)
    try:
        loader = await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=file, context=chosen.context, client_configuration=loaded, persist_config=False
        )
        in_context = loader.current_context["context"].get("namespace")
        client = ApiClient(loaded)
    except (config.ConfigException, yaml.YAMLError, OSError, LookupError, TypeError) as error:
        raise KubeconfigError(f"{file}: {error}") from error
    refreshing = asyncio.create_task(config.refresh_token(loader, loaded))  # type: ignore[no-untyped-call]
    try:
        async with client:
            yield Api(client), chosen.namespace or in_context or "default"
    finally:
        refreshing.cancel()


def own_namespace() -> str:
    """The namespace in which this process runs."""
    if given := os.environ.get("POD_NAMESPACE"):
        return given
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.exists() else FALLBACK_NAMESPACE
