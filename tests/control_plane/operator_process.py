"""The operator as its own process, with exactly the permissions of its manifests."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.cluster import Cluster
from tests.cluster.fake_kubelet import FakeKubelet
from tests.operator.termination_messages import success_report

from talkingvideo_api import names
from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_api.reports import (
    FailureReport,
    Report,
    encode_report,
)

BASE = Path(__file__).parents[2] / "manifests" / "base"
SYSTEM = "talkingvideo-system"
GROUP, VERSION, PLURAL = "talkingvideo.dev", "v1alpha1", "talkingvideos"


def wait_until(holds: Callable[[], Any], what: str, timeout: float = 30) -> Any:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{what} within {timeout:.0f} s")


def install(cluster: Cluster) -> None:
    """Apply the kustomize base without the Deployment: its pod cannot run here, and the process takes its place."""
    built = cluster.kubectl("kustomize", str(BASE))
    documents = [d for d in yaml.safe_load_all(built) if d["kind"] != "Deployment"]
    cluster.apply(*documents)
    cluster.kubectl("wait", "--for=condition=Established", "crd/talkingvideos.talkingvideo.dev", "--timeout=30s")


def configuration(**changes: Any) -> dict[str, Any]:
    profile = {
        "workerImage": "worker:test",
        "engine": "preview",
        "gpu": {},
        "stores": {"default": {"s3": {"bucket": "media", "secretName": "s3"}}},
        "render": {"resources": {"requests": {"cpu": "100m"}}},
        "allow": {"inputBuckets": ["media/inputs/"]},
        **changes.pop("profile", {}),
    }
    return {
        "profiles": {"default": profile},
        "backOff": {"firstSeconds": 0.5},
        "lease": {"durationSeconds": 2},
        "progressFromLogs": False,
        **changes,
    }


@dataclass
class OperatorProcess:
    """Starts, stops and kills the process, and reads from its log what it has written to the API."""

    kubeconfig: Path
    folder: Path
    namespace: str
    config: dict[str, Any] = field(default_factory=configuration)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "operator.log"

    def start(self, timeout: float = 30) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump({**self.config, "probePort": self.port}))
        command = [sys.executable, "-m", "talkingvideo_operator", "run", "--config", str(file)]
        command += ["--namespace", self.namespace, "--log-level", "debug", "--log-json"]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "POD_NAMESPACE": SYSTEM}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        before = self.lines("listed all objects")
        wait_until(
            lambda: self.lines("listed all objects") > before or self._ended(),
            f"the operator acts: {self.log}",
            timeout,
        )

    def _ended(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the operator ended:\n{self.log.read_text()[-3000:]}")
        return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def lines(self, text: str) -> int:
        return self.log.read_text().count(text) if self.log.exists() else 0

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False

    def writes(self) -> Counter[str]:
        """Writes by method and resource, successful or not, without Leases and Events."""
        counted: Counter[str] = Counter()
        for line in self.log.read_text().splitlines():
            with suppress(ValueError):
                event = str(json.loads(line).get("event", ""))
                if found := re.match(r"(POST|PUT|DELETE|PATCH) (\S+): (\d+)", event):
                    method, path, _ = found.groups()
                    resource = (
                        "status" if path.endswith("/status") else re.findall(r"/namespaces/[^/]+/([^/]+)", path)[0]
                    )
                    if resource not in ("leases", "events"):
                        counted[f"{method} {resource}"] += 1
        return counted


@contextmanager
def running_operator(cluster: Cluster, folder: Path, namespace: str, **changes: Any) -> Iterator[OperatorProcess]:
    kubeconfig = cluster.kubeconfig_for(SYSTEM, "talkingvideo-operator", folder / "kubeconfig")
    operator = OperatorProcess(kubeconfig, folder, namespace, configuration(**changes))
    operator.start()
    try:
        yield operator
    finally:
        if operator.process is not None and operator.process.poll() is None:
            operator.stop()


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "source": {"image": {"uri": "https://example.com/face.png"}},
        "speech": {"speakers": [{"audio": {"uri": "s3://media/inputs/hello.wav"}}]},
        **changes,
    }


def video(name: str = "hello", **changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TalkingVideo",
        "metadata": {"name": name},
        "spec": spec(**changes),
    }


@dataclass
class Sandbox:
    """A namespace that the operator serves: the test plays the user and the kubelet."""

    cluster: Cluster
    kubelet: FakeKubelet
    namespace: str
    operator: OperatorProcess
    chunks: int = 4

    def apply(self, document: dict[str, Any]) -> None:
        self.cluster.apply(document, namespace=self.namespace)

    def patch(self, body: dict[str, Any], name: str = "hello") -> None:
        self.cluster.objects.patch_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name, body)

    def get(self, name: str = "hello") -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.objects.get_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURAL, name
        )
        return found

    def status(self, name: str = "hello") -> dict[str, Any]:
        status: dict[str, Any] = self.get(name).get("status", {})
        return status

    def chunk_status(self) -> dict[str, Any]:
        """The chunks in status: empty before the plan is written there, although their Jobs may run already."""
        chunks: dict[str, Any] = self.status().get("chunks", {})
        return chunks

    def wait_phase(self, phase: str, name: str = "hello", timeout: float = 30) -> dict[str, Any]:
        try:
            wait_until(lambda: self.status(name).get("phase") == phase, f"{name} is {phase}", timeout)
            return self.status(name)
        except TimeoutError:
            raise TimeoutError(f"{name}: {self.status(name)}\n{self.operator.log.read_text()[-3000:]}") from None

    def condition(self, kind: str, name: str = "hello") -> dict[str, Any]:
        return next(c for c in self.status(name)["conditions"] if c["type"] == kind)

    def jobs(self) -> list[str]:
        return sorted(j.metadata.name for j in self.cluster.batch.list_namespaced_job(self.namespace).items)

    def units(self) -> list[str]:
        """Stage or chunk, and attempt: the last part of each Job's name."""
        return sorted(name.split("-", 3)[-1] for name in self.jobs())

    def pod(self, stage: str, chunk: int | None = None, attempt: int = 0, timeout: float = 30) -> Any:
        """Wait for the scheduled pod of a piece of work."""
        labels = f"talkingvideo.dev/stage={stage},talkingvideo.dev/attempt={attempt}"
        if chunk is not None:
            labels += f",talkingvideo.dev/chunk={chunk}"
        return self.kubelet.scheduled_pod(self.namespace, labels, timeout)

    def finish(self, stage: str, chunk: int | None = None, attempt: int = 0) -> None:
        pod = self.pod(stage, chunk, attempt)
        self.kubelet.run_pod(pod)
        self.kubelet.finish_pod(pod, message=encode_report(self.report(pod)))

    def fail(
        self,
        code: ErrorCode,
        stage: str,
        chunk: int | None = None,
        attempt: int = 0,
        container: str = "",
        *,
        retryable: bool | None = None,
    ) -> None:
        pod = self.pod(stage, chunk, attempt)
        retry = ERRORS[code].retryable if retryable is None else retryable
        report = FailureReport(code=code, message="the test says so", retryable=retry)
        message = encode_report(report)
        self.kubelet.finish_pod(pod, ERRORS[code].exit_status, message, container=container or None)

    def finish_what_is_pending(self) -> None:
        for pod in self.cluster.core.list_namespaced_pod(self.namespace).items:
            if pod.status.phase == "Pending" and pod.spec.node_name and pod.metadata.deletion_timestamp is None:
                self.kubelet.finish_pod(pod, message=encode_report(self.report(pod)))

    def report(self, pod: Any) -> Report:
        """The report of a pod that has done its work."""
        labels = pod.metadata.labels
        chunk = labels.get(names.LABEL_CHUNK)
        name, revision = pod.metadata.annotations[names.ANNOTATION_OBJECT], labels[names.LABEL_REVISION]
        result = f"s3://media/{self.namespace}/{name}-{revision}"
        index = None if chunk is None else int(chunk)
        return success_report(names.Stage(labels[names.LABEL_STAGE]), self.chunks, index, result=result)

    def finish_everything(self) -> None:
        self.finish("prepare")
        for chunk in range(self.chunks):
            self.finish("render", chunk)
        self.finish("stitch")
