"""How to reach the API server, the same for every client: by the pod's ServiceAccount, elsewhere by kubeconfig."""

from __future__ import annotations

import os
from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.client import Configuration

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
FALLBACK_NAMESPACE = "talkingvideo-system"


async def configuration() -> Configuration:
    """Load the configuration. The client reads in-cluster tokens again as they rotate."""
    loaded = Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=loaded)  # type: ignore[no-untyped-call]
    else:
        file = os.environ.get("KUBECONFIG")
        await config.load_kube_config(config_file=file, client_configuration=loaded)  # type: ignore[no-untyped-call]
    return loaded


def own_namespace() -> str:
    """The namespace in which this process runs."""
    if given := os.environ.get("POD_NAMESPACE"):
        return given
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.exists() else FALLBACK_NAMESPACE
