"""The configuration, and the files of the repository that show it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from talkingvideo_operator.cli import crd_yaml
from talkingvideo_operator.settings import ConfigError, load

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("file", ["crds/talkingvideo.yaml", "manifests/base/crd.yaml"])
def test_the_crd_in_the_repository_is_the_generated_one(file: Any) -> None:
    assert (ROOT / file).read_text() == crd_yaml(), f"run make crds, or talkingvideo-operator crd > {file}"


def test_the_shipped_configuration_can_be_used() -> None:
    assert load(ROOT / "manifests/base/config.yaml").profiles["default"].engine == "preview"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profiles: {}", "profiles: Dictionary should have at least 1 item"),
        ("profiles: {a: {stores: {default: {s3: {bucket: b}}}}}", "profiles.a.workerImage: Field required"),
        ("profiles: {a: {workerImage: w, stores: {x: {s3: {bucket: b}}}}}", "defaultStore 'default' is not one of"),
        ("profiles: {a: {workerImage: w, stores: {default: {}}}}", "exactly one of s3 and pvc"),
        (
            "{profiles: {a: {workerImag: w, stores: {}}}}",
            "profiles.a.workerImag: unknown field; did you mean workerImage?",
        ),
        ("{profiles: {a: {workerImage: w, stores: {}, preset: fsat}}}", "did you mean fast?"),
        ("{profiles: {}, progressFromLog: true}", "progressFromLog: unknown field; did you mean progressFromLogs?"),
        ("", "must be a mapping with the fields profiles, namespaces,"),
        ("a: [", "is not YAML"),
        ("{profiles: {a: {workerImage: w, stores: {default: {s3: {bucket: b}}}}}, workers: 0}", "workers"),
    ],
)
def test_an_invalid_configuration_is_refused_with_its_path(tmp_path: Any, text: Any, words: Any) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=None) as error:
        load(file)
    assert words in str(error.value)


def test_the_operator_may_not_read_secrets() -> None:
    rules = next(yaml.safe_load_all((ROOT / "manifests/base/clusterrole.yaml").read_text()))["rules"]
    for rule in rules:
        assert "secrets" not in rule["resources"]
        assert "*" not in [*rule["resources"], *rule["verbs"], *rule["apiGroups"]]
