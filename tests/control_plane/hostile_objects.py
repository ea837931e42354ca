"""Objects that are as large as the schema and the API server allow."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.cluster.cluster import Cluster
from tests.control_plane.operator_process import GROUP, PLURAL, VERSION, OperatorProcess, video
from tests.incompressible import incompressible

from talkingvideo_api.uris import MAX_DATA_URI


def large_video(number: int, annotation: int) -> dict[str, Any]:
    """A suspended video with all inline data, texts and LoRAs that the schema allows.

    Args:
        number: Differs between objects, so that none is like another.
        annotation: Characters of an annotation; the API server allows 256 KiB.
    """
    prefix = "data:image/png;base64,"
    image = prefix + incompressible(MAX_DATA_URI - len(prefix), number)
    document = video(
        name=f"large-{number}",
        source={"image": {"uri": image}},
        speech={"speakers": [{"text": incompressible(50_000, number + index)} for index in range(2)]},
        prompt=incompressible(4_000, number),
        negativePrompt=incompressible(4_000, number),
        render={
            "loras": [{"uri": f"https://example.com/{incompressible(2_000, number + index)}"} for index in range(8)]
        },
        suspend=True,
    )
    document["metadata"]["annotations"] = {"example.com/note": incompressible(annotation, number)}
    return document


def create(cluster: Cluster, namespace: str, documents: Iterable[dict[str, Any]]) -> None:
    """Create objects, several at once."""

    def create_one(document: dict[str, Any]) -> None:
        cluster.objects.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, document)

    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(create_one, documents):
            pass


def peak_megabytes(operator: OperatorProcess) -> float:
    """The largest resident set that the operator's process has had."""
    assert operator.process is not None
    lines = Path(f"/proc/{operator.process.pid}/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1_000
