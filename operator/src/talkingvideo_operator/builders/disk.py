"""How much of a node's disk a pod may use: a limit that follows from the sizes of its volumes."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity

from talkingvideo_operator.builders.metadata import Manifest

DISK = "ephemeral-storage"

LOG_BYTES = 256 << 20
"""Room for the logs of a pod's containers, which the kubelet rotates at 10 MiB each by default, and their writable layers."""

REQUESTED_BYTES = 1 << 30
"""What a usual video needs. Reserving the limit would leave most of a node's disk unused."""


def disk_bytes(volumes: Iterable[Manifest]) -> int:
    """The most that a pod's emptyDir volumes on disk and its logs may hold together.

    The kubelet compares the limit with all of a pod's files, so no volume meets it before its own ``sizeLimit``.
    """
    sizes = (volume["emptyDir"] for volume in volumes if "emptyDir" in volume)
    return LOG_BYTES + sum(int(_bytes(size["sizeLimit"])) for size in sizes if size.get("medium") != "Memory")


def with_disk(resources: Manifest, limit: int) -> Manifest:
    """Resources with request and limit of ephemeral storage, unless the profile or the object names either itself."""
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    if DISK in requests or DISK in limits:
        return resources
    requested = min(limit, REQUESTED_BYTES)
    return {**resources, "requests": {**requests, DISK: str(requested)}, "limits": {**limits, DISK: str(limit)}}


def _bytes(quantity: str) -> Decimal:
    return Decimal(parse_quantity(quantity))  # type: ignore[no-untyped-call]
