"""Measures how fast the operator is and how much it writes, on a real API server; the benchmark plays the kubelet.

Prints a Markdown table. ``TALKINGVIDEO_TEST_KUBECONFIG`` names a cluster to use; otherwise one is started.

    uv run python bench/operator_speed.py [--videos 10] [--chunks 6]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from kubernetes import watch
from tests.cluster.binaries import binary
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import running_control_plane
from tests.cluster.fake_kubelet import FakeKubelet
from tests.control_plane.operator_process import (
    GROUP,
    PLURAL,
    VERSION,
    Sandbox,
    install,
    running_operator,
    video,
)
from urllib3.exceptions import ProtocolError

from talkingvideo_api.reports import encode_report

GOALS = {
    "apply to first Job (s, median)": 0.5,
    "a Job's Complete to the operator's next write (s, median)": 0.3,
    "last chunk's pod ends to Complete, less stitch's pod (s, median)": 4.0,
}


class Watcher:
    """Records when Jobs appear and complete and when videos are written, by the time of its watches."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._closing = threading.Event()
        self.created: dict[str, float] = {}
        self.completed: dict[str, float] = {}
        self.writes: dict[str, list[float]] = {}
        self.job_writes: dict[str, list[float]] = {}
        for target in (self._jobs, self._videos):
            threading.Thread(target=target, daemon=True).start()

    def close(self) -> None:
        """Expect the watches to end: the server is about to stop."""
        self._closing.set()

    def _events(self, call: Any, *args: Any) -> Iterator[tuple[float, dict[str, Any]]]:
        stream: Any = watch.Watch().stream  # type: ignore[no-untyped-call]
        try:
            for event in stream(call, *args, timeout_seconds=900):
                yield time.monotonic(), event
        except ProtocolError:
            if not self._closing.is_set():
                raise

    def _jobs(self) -> None:
        for now, event in self._events(self._cluster.batch.list_namespaced_job, self._namespace):
            workload = event["object"]
            name = workload.metadata.name
            owner = workload.metadata.annotations["talkingvideo.dev/object"]
            if name not in self.created:
                self.created[name] = now
                self.job_writes.setdefault(owner, []).append(now)
            if any(c.type == "Complete" and c.status == "True" for c in workload.status.conditions or ()):
                self.completed.setdefault(name, now)

    def _videos(self) -> None:
        listing = self._cluster.objects.list_namespaced_custom_object
        for now, event in self._events(listing, GROUP, VERSION, self._namespace, PLURAL):
            if event["type"] == "MODIFIED":
                self.writes.setdefault(event["object"]["metadata"]["name"], []).append(now)


@contextmanager
def some_cluster() -> Iterator[Cluster]:
    if given := os.environ.get("TALKINGVIDEO_TEST_KUBECONFIG"):
        yield Cluster(Path(given), binary("kubectl"))
        return
    with tempfile.TemporaryDirectory() as state, running_control_plane(Path(state)) as plane:
        yield plane.cluster


def measure(sandbox: Sandbox, watcher: Watcher, name: str) -> dict[str, float]:
    """Times and writes of one video while no other is made."""
    before = sum(sandbox.operator.writes().values())
    began = time.monotonic()
    sandbox.cluster.objects.create_namespaced_custom_object(
        GROUP, VERSION, sandbox.namespace, PLURAL, video(name, chunking={"maxParallel": 1})
    )
    first = wait_for(lambda: min((t for job, t in watcher.created.items() if job.startswith(f"{name}-")), default=None))
    sandbox.finish("prepare")
    last_chunk = 0.0
    for chunk in range(sandbox.chunks):
        sandbox.finish("render", chunk)
        last_chunk = time.monotonic()
    pod = sandbox.pod("stitch")
    pod_began = time.monotonic()
    sandbox.kubelet.finish_pod(pod, message=encode_report(sandbox.report(pod)))
    pod_seconds = time.monotonic() - pod_began
    sandbox.wait_phase("Succeeded", name)
    ended = wait_for(lambda: (w := watcher.writes.get(name)) and w[-1])
    writes = sum(sandbox.operator.writes().values()) - before
    sandbox.cluster.objects.delete_namespaced_custom_object(GROUP, VERSION, sandbox.namespace, PLURAL, name)
    return {"first": first - began, "tail": ended - last_chunk - pod_seconds, "writes": writes}


def reactions(watcher: Watcher) -> list[float]:
    """Seconds from a Job's Complete to the next write for its video; 0 where the operator has acted on the pod before."""
    found = []
    for workload, completed in watcher.completed.items():
        name = workload.split("-")[0]
        writes = sorted([*watcher.writes.get(name, []), *watcher.job_writes.get(name, [])])
        ahead = [w for w in writes if completed - 2 <= w <= completed]
        after = [w for w in writes if w > completed]
        found.append(0.0 if ahead else after[0] - completed if after else 0.0)
    return found


def wait_for(read: Any, timeout: float = 30) -> float:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := read():
            return float(found)
        time.sleep(0.005)
    raise TimeoutError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=10)
    parser.add_argument("--chunks", type=int, default=6)
    options = parser.parse_args()
    with some_cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        install(cluster)
        kubelet = FakeKubelet(cluster)
        node, namespace = f"gpu-{uuid.uuid4().hex[:6]}", f"bench-{uuid.uuid4().hex[:6]}"
        kubelet.add_node(node, gpus=8)
        cluster.core.create_namespace({"metadata": {"name": namespace}})
        with kubelet.confirming_deletions(), running_operator(cluster, Path(folder), namespace) as operator:
            sandbox = Sandbox(cluster, kubelet, namespace, operator, chunks=options.chunks)
            watcher = Watcher(cluster, namespace)
            runs = [measure(sandbox, watcher, f"v{number}") for number in range(options.videos)]
            time.sleep(2)
            reacted = reactions(watcher)
            watcher.close()
        kubelet.remove_node(node)
        cluster.core.delete_namespace(namespace)
    report(runs, reacted, options.chunks)


def report(runs: list[dict[str, float]], reacted: list[float], chunks: int) -> None:
    firsts, tails = [run["first"] for run in runs], [run["tail"] for run in runs]
    print(
        f"{len(runs)} videos of {chunks} chunks, one after another. The operator mostly acts on a pod's report before"
    )
    print("its Job is Complete: such a reaction counts as 0. The column worst shows the slowest of all.\n")
    print("| what | reach | median | worst |\n|---|---|---|---|")
    for (what, goal), values in zip(GOALS.items(), (firsts, reacted, tails), strict=True):
        print(f"| {what} | {goal} | {statistics.median(values):.2f} | {max(values):.2f} |")
    writes = [run["writes"] for run in runs]
    print(
        f"| API writes per video of {chunks} chunks | {2 * chunks + 12} "
        f"| {statistics.median(writes):.0f} | {max(writes):.0f} |"
    )


if __name__ == "__main__":
    main()
