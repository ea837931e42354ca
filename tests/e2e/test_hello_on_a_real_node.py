"""The main job on a real cluster: chart installed, images run, a store that checks signatures, the result fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.installation import Installation
from tests.e2e.result import assert_sound_is_the_input, assert_video_is_whole, frames_for
from tests.worker.preview.sync_score import sync_score

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.timeout(900)
def test_hello_becomes_a_finished_video_in_s3(
    installed: Installation, namespace_with_store: str, tmp_path: Path
) -> None:
    seen = tmp_path / "watch"
    with installed.watching(namespace_with_store, seen):
        installed.cluster.kubectl("-n", namespace_with_store, "apply", "-f", str(EXAMPLES / "hello.yaml"))
        status = installed.wait_until_complete(namespace_with_store, "hello")["status"]
    print(seen.read_text())
    assert_in_order(seen.read_text(), "Preparing", "Rendering", "Stitching", "Succeeded")
    output, voice = status["output"], EXAMPLES / "voice.ogg"
    assert (status["phase"], status["progress"]) == ("Succeeded", 100)
    video = installed.download(output["uri"], tmp_path / "hello.mp4")
    assert output["bytes"] == video.stat().st_size
    for uri in (output["thumbnailUri"], output["reportUri"]):
        assert installed.download(uri, tmp_path / "beside").stat().st_size > 1_000
    assert_video_is_whole(video, frames_for(voice), output["width"], output["height"])
    assert_sound_is_the_input(video, voice)
    score = sync_score(video)
    assert score.r >= 0.6
    assert abs(score.best_lag) <= 1
    assert abs(score.null) < 0.2
    _assert_the_secret_is_shown_nowhere(installed, namespace_with_store)


def assert_in_order(text: str, *words: str) -> None:
    """Every word occurs, each behind the one before."""
    places = [text.find(word) for word in words]
    assert -1 not in places, text
    assert places == sorted(places), text


def _assert_the_secret_is_shown_nowhere(installed: Installation, namespace: str) -> None:
    """Neither objects nor events nor logs repeat the store's secret."""
    cluster = installed.cluster
    shown = cluster.kubectl("-n", namespace, "get", "tv,jobs,pods,configmaps,events", "-o", "yaml")
    shown += installed.operator_log()
    for pod in cluster.core.list_namespaced_pod(namespace).items:
        shown += cluster.kubectl("-n", namespace, "logs", pod.metadata.name, "--all-containers")
    assert installed.server.owner.secret_key not in shown
