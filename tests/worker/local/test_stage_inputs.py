"""The stage input of a local run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.api.objects import video

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.local.stage_inputs import make_stage_input, warnings_of


def stage_input(folder: Path, default: str = "preview", **fields: Any) -> StageInput:
    return make_stage_input(video(**fields), default, LocalLocations(folder / "out", folder / "work"))


def test_results_are_named_after_the_object(tmp_path: Path) -> None:
    local = stage_input(tmp_path)
    assert local.locations.result == (tmp_path / "out" / local.name).as_uri()


def test_an_engine_that_is_not_installed_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="nonesuch") as refused:
        stage_input(tmp_path, "nonesuch")
    assert (refused.value.code, refused.value.field) == (ErrorCode.NOT_SUPPORTED, "spec.engine")


def test_the_objects_engine_comes_before_the_options(tmp_path: Path) -> None:
    assert stage_input(tmp_path, "nonesuch", engine="preview").effective.engine == "preview"


def test_s3_is_reached_as_awss_own_tools_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://general.example")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    local = stage_input(tmp_path)
    assert (local.s3.endpoint, local.s3.region) == ("http://s3.example", "eu-central-1")


def test_fields_that_have_no_effect_in_a_local_run_get_a_warning(tmp_path: Path) -> None:
    warnings = warnings_of(stage_input(tmp_path, output={"name": "{name}", "s3": {"bucket": "films"}}))
    assert [warning.split()[0] for warning in warnings] == ["spec.output.s3", "spec.output.name"]
    assert warnings_of(stage_input(tmp_path)) == []
