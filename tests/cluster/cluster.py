"""Access to a running cluster, whoever started it."""

import base64
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from tests.cluster.certificates import write_kubeconfig

_TOKEN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Cluster:
    """A cluster by its administrator's kubeconfig.

    Attributes:
        kubeconfig: The administrator's.
        kubectl_program: Of the cluster's version.
        audit_log: What ServiceAccounts have asked the API server, one event of audit.k8s.io a line; None for a cluster that
            is not our own.

    The APIs are of type ``Any``: to the client's own types every field of every object may be missing.
    """

    kubeconfig: Path
    kubectl_program: Path
    audit_log: Path | None = None

    @cached_property
    def api(self) -> Any:
        """A synchronous API client (``ApiClient``) with the administrator's rights."""
        return config.new_client_from_config(str(self.kubeconfig))  # type: ignore[no-untyped-call]

    @cached_property
    def core(self) -> Any:
        """The client's ``CoreV1Api``: pods, nodes, namespaces, events ..."""
        return client.CoreV1Api(self.api)

    @cached_property
    def batch(self) -> Any:
        """The client's ``BatchV1Api``: Jobs."""
        return client.BatchV1Api(self.api)

    @cached_property
    def objects(self) -> Any:
        """The client's ``CustomObjectsApi``: custom resources."""
        return client.CustomObjectsApi(self.api)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl and return what it printed.

        Raises:
            KubectlError: It failed; the message is what it said.
        """
        command = [str(self.kubectl_program), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout)
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *documents: dict[str, Any], namespace: str | None = None) -> None:
        """Apply objects, as ``kubectl apply`` does."""
        into = ["--namespace", namespace] if namespace else []
        self.kubectl("apply", *into, "--filename=-", stdin=yaml.safe_dump_all(documents))

    def kubeconfig_for(self, namespace: str, service_account: str, target: Path) -> Path:
        """Write to ``target`` a kubeconfig with a token of the ServiceAccount, hence with exactly its permissions."""
        request = client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=_TOKEN_SECONDS)
        )
        issued = self.core.create_namespaced_service_account_token(service_account, namespace, request)
        settings = self.api.configuration
        authority = base64.b64encode(Path(settings.ssl_ca_cert).read_bytes()).decode()
        cluster = {"server": settings.host, "certificate-authority-data": authority}
        write_kubeconfig(target, cluster, {"token": issued.status.token})
        return target


class KubectlError(Exception):
    """What kubectl said when it failed."""
