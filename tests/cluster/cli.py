"""The test cluster by hand: ``uv run python -m tests.cluster.cli up``.

``up`` holds the cluster until Ctrl-C (or ``down`` from another terminal); programs end with it, however it ends.
"""

import argparse
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.binaries import PROGRAMS, binaries
from tests.cluster.caches import cache_folder
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import running_control_plane
from tests.cluster.images import SMALL_IMAGES, built_image, torch_worker
from tests.cluster.leftovers import remove_leftovers
from tests.cluster.node import STATE, running_node
from tests.cluster.scratch import scratch_folder
from tests.cluster.unavailable import UnavailableError

_MODULE = "tests.cluster.cli"


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.cli", description=__doc__)
    commands = parser.add_subparsers(required=True)
    up = commands.add_parser("up", help="run a control plane until interrupted")
    up.set_defaults(run=run_control_plane)
    up.add_argument("--node", dest="run", action="store_const", const=run_node, help="with a real node (root)")
    commands.add_parser("down", help="end what 'up' runs, and what a killed node left").set_defaults(run=end)
    commands.add_parser("kubeconfig", help="print the path of the running cluster's kubeconfig").set_defaults(
        run=print_kubeconfig
    )
    commands.add_parser("build-binaries", help="fill the cache of programs").set_defaults(run=build_binaries)
    commands.add_parser("build-images", help="build the images of the tests (root)").set_defaults(run=build_images)
    try:
        parser.parse_args().run()
    except UnavailableError as reason:
        parser.exit(1, f"{reason}\n")


def run_control_plane() -> None:
    """Hold a control plane until interrupted."""
    with scratch_folder() as state, running_control_plane(state) as plane, _recorded(plane.cluster):
        _wait_for_interrupt(plane.cluster)


def run_node() -> None:
    """Hold a control plane with a real node, which knows the project's images, until interrupted."""
    images = [built_image(image) for image in SMALL_IMAGES]
    with running_node() as node, _recorded(node.cluster):
        for image in images:
            node.import_image(image.archive)
            print(f"image {image.name}")
        _wait_for_interrupt(node.cluster)


def end() -> None:
    """End the cluster that ``up`` runs; where it was killed, remove what its node left."""
    if (holder := _holder()) is not None:
        os.kill(holder, signal.SIGTERM)
    elif os.geteuid() == 0:
        remove_leftovers(STATE)


def print_kubeconfig() -> None:
    """Print the path of the running cluster's kubeconfig."""
    if _holder() is None:
        raise UnavailableError("no cluster runs; start one with 'up'")
    print(_record().read_text().split(maxsplit=1)[1])


def build_binaries() -> None:
    """Build every program that the cache lacks."""
    for path in binaries(PROGRAMS).values():
        print(path)


def build_images() -> None:
    """Build every image of the tests that the cache lacks, and say what each adds to its base."""
    for image in (*SMALL_IMAGES, torch_worker()):
        built = built_image(image)
        print(f"{built.name}  {built.archive}  adds {built.added_bytes() / 1e6:.0f} MB to its base")


def _record() -> Path:
    return cache_folder() / "running-cluster"


def _holder() -> int | None:
    """The process that holds the recorded cluster, unless it was killed."""
    try:
        pid = int(_record().read_text().split()[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return None
    return pid if _MODULE.encode() in command else None


@contextmanager
def _recorded(cluster: Cluster) -> Iterator[None]:
    """Tell other terminals which process holds the cluster, and where its kubeconfig is. One at a time."""
    if (holder := _holder()) is not None:
        raise UnavailableError(f"a cluster runs already, held by process {holder}; end it with 'down'")
    _record().write_text(f"{os.getpid()} {cluster.kubeconfig}")
    try:
        yield
    finally:
        _record().unlink(missing_ok=True)


def _wait_for_interrupt(cluster: Cluster) -> None:
    interrupted = threading.Event()
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, lambda *_: interrupted.set())
    print(f"export KUBECONFIG={cluster.kubeconfig}\nexport PATH={cluster.kubectl_program.parent}:$PATH", flush=True)
    interrupted.wait()


if __name__ == "__main__":
    main()
