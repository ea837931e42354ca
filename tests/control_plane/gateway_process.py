"""The gateway as its own process, with exactly the permissions and the configuration of the chart."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.cluster.cluster import Cluster
from tests.cluster.s3 import S3Server
from tests.control_plane.operator_process import SYSTEM, Sandbox, wait_until

ALICE, BOB = "token-of-alice-0001", "token-of-bob-000002"
BUCKET = "media"
ACCOUNT = "talkingvideo-gateway"

Manifest = dict[str, Any]


def values(namespace: str) -> dict[str, Any]:
    """Values of a chart whose operator is that of the kustomize base."""
    return {
        "namespaces": [namespace],
        "config": {"lease": {"name": "talkingvideo-operator", "namespace": SYSTEM}},
        "gateway": {
            "enabled": True,
            "authentication": {"tokens": {"secretName": "tokens"}, "kubernetes": {"enabled": True, "seconds": 1}},
            "linkKey": {"secretName": "key"},
        },
        "profiles": {"default": {"stores": {"default": {"s3": {"bucket": BUCKET}}}}},
    }


@dataclass
class GatewayProcess:
    """One replica."""

    file: Path
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    ready: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [str(Path(sys.executable).parent / "talkingvideo-gateway"), "serve", "--config", str(self.file)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)], env=self.environment, stdout=log, stderr=log
            )
        try:
            wait_until(self._answers, "the gateway answers", 90)
        except TimeoutError:
            raise TimeoutError(f"{self.ready}\n{self.log.read_text()[-3_000:]}") from None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def client(self, token: str = ALICE) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3_000:]
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=5)
        except httpx.HTTPError:
            return False
        self.ready = answer.text
        return answer.status_code == 200


@dataclass
class Gateways:
    """Replicas beside an operator.

    Attributes:
        sandbox: The namespace, and the operator that serves it.
        documents: What the chart has made.
        replicas: The processes.
    """

    sandbox: Sandbox
    documents: list[Manifest]
    replicas: list[GatewayProcess] = field(default_factory=list)

    def asked(self, *, since: int = 0) -> Counter[tuple[str, str, str]]:
        """What the gateways have asked the API server for: group, resource and verb, with refusals as verb ``refused``."""
        user = f"system:serviceaccount:{self.sandbox.namespace}:{ACCOUNT}"
        found: Counter[tuple[str, str, str]] = Counter()
        for line in self._audit()[since:]:
            event = json.loads(line)
            if event["user"]["username"] == user and "objectRef" in event:
                target = event["objectRef"]
                verb = "refused" if event.get("responseStatus", {}).get("code") == 403 else event["verb"]
                found[target.get("apiGroup", ""), target["resource"], verb] += 1
        return found

    def audited(self) -> int:
        """Events of the audit log so far."""
        return len(self._audit())

    def _audit(self) -> list[str]:
        assert self.sandbox.cluster.audit_log is not None
        return self.sandbox.cluster.audit_log.read_text().splitlines()


@contextmanager
def running_gateways(
    sandbox: Sandbox, render: Callable[..., list[Manifest]], store: S3Server, folder: Path, count: int
) -> Iterator[Gateways]:
    """Install what the chart has for the gateway, except for its pods, and start processes in their place."""
    documents = [
        each
        for each in render(values(sandbox.namespace), sandbox.namespace)
        if each["metadata"]["name"].startswith(ACCOUNT) and each["kind"] not in ("Deployment", "Secret")
    ]
    sandbox.cluster.apply(*documents)
    gateways = Gateways(sandbox, documents)
    try:
        for number in range(count):
            gateways.replicas.append(_replica(gateways, sandbox.cluster, store, folder / f"gateway-{number}"))
        for replica in gateways.replicas:
            replica.start()
        yield gateways
    finally:
        for replica in gateways.replicas:
            if replica.process is not None and replica.process.poll() is None:
                replica.stop()
        for each in documents:
            if each["kind"].startswith("Cluster"):
                sandbox.cluster.kubectl("delete", each["kind"], each["metadata"]["name"])


def _replica(gateways: Gateways, cluster: Cluster, store: S3Server, folder: Path) -> GatewayProcess:
    (folder / "tokens").mkdir(parents=True)
    (folder / "tokens" / "alice").write_text(ALICE)
    (folder / "tokens" / "bob").write_text(BOB)
    (folder / "key").write_text("k" * 48)
    text = next(each for each in gateways.documents if each["kind"] == "ConfigMap")["data"]["config.yaml"]
    config = yaml.safe_load(text)
    config["authentication"]["tokens"], config["linkKey"] = str(folder / "tokens"), str(folder / "key")
    config["cluster"]["stores"]["default"]["s3"] |= {
        "endpoint": store.endpoint,
        "linkEndpoint": store.endpoint,
        "addressingStyle": "path",
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config | {"metricsPort": 0}))
    namespace = gateways.sandbox.namespace
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig_for(namespace, ACCOUNT, folder / "kubeconfig")),
        "POD_NAMESPACE": namespace,
        "AWS_ACCESS_KEY_ID": store.owner.access_key,
        "AWS_SECRET_ACCESS_KEY": store.owner.secret_key,
    }
    return GatewayProcess(file, environment, folder / "log")
