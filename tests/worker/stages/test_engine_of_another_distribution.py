"""An engine that another distribution installs: an entry point is all that a local run needs, a profile's row in a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.operator.fake_cluster import FakeCluster, config, spec
from tests.worker.stages.conftest import StageInputFactory

from talkingvideo_api.conditions import Phase
from talkingvideo_worker.local.documents import Documents
from talkingvideo_worker.local.run import LocalMounts, run_locally
from talkingvideo_worker.progress import LogReporter

ENGINE = """\
from talkingvideo_worker.engines.preview import PreviewEngine


class AcmeEngine(PreviewEngine):
    name = "acme"
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution ``acme-engine`` with the entry point ``acme``."""
    site = tmp_path / "site-packages"
    metadata = site / "acme_engine-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "acme_engine.py").write_text(ENGINE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-engine\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[talkingvideo.engines]\nacme = acme_engine:AcmeEngine\n")
    monkeypatch.syspath_prepend(site)
    yield
    sys.modules.pop("acme_engine", None)


@pytest.mark.media
@pytest.mark.usefixtures("installed")
def test_it_renders_a_local_video(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    stage_input = new_stage_input(engine="acme", video={"maxFrames": 5}, render={"steps": 3})
    report = run_locally(stage_input, LocalMounts({}, Documents((), {})), LogReporter())
    assert report.frame_count == 5
    description = json.loads((tmp_path / "out" / "hello.json").read_text())
    assert description["effective"]["engine"] == "acme"
    assert description["effective"]["sampling"]["steps"] == 3, "an engine without a row gets all values"


@pytest.mark.parametrize("profile", [{"engine": "acme"}, {"engines": ["preview", "acme"]}])
def test_the_operator_accepts_it_where_the_profile_names_it(profile: dict[str, object]) -> None:
    cluster = FakeCluster(settings=config(profile=profile), document=spec(engine="acme"))
    cluster.reconcile()
    assert cluster.status.phase is Phase.PREPARING
    assert cluster.status.effective.engine == "acme"


def test_the_operator_refuses_it_where_no_profile_names_it() -> None:
    cluster = FakeCluster(document=spec(engine="acme"))
    cluster.reconcile()
    failure = cluster.status.failure
    assert cluster.status.phase is Phase.FAILED
    assert (failure.field, failure.code) == ("spec.engine", "E_NOT_SUPPORTED")
