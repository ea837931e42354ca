"""The README's recipes do what they say."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml
from tests.chart.conftest import CHART, helm
from tests.docs.test_pages import ROOT

from talkingvideo_operator.settings import OperatorConfig

__all__ = ["helm"]

README = (ROOT / "README.md").read_text()


def commands(verb: str) -> list[list[str]]:
    """Commands of the README's shell blocks that begin with a verb, with their continued lines."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith(verb)]


def settings(verb: str, about: str = "") -> list[str]:
    """Of the README's helm command about something: its --set options, placeholders filled in."""
    (command,) = (command for command in commands(verb) if about in " ".join(command))
    given = [command[at + 1] for at, word in enumerate(command) if word == "--set"]
    return [each.replace("NAMESPACE", "films").replace("REGISTRY", "registry.example") for each in given]


@pytest.mark.control_plane
def test_the_gpu_recipe_makes_a_profile_that_requests_a_gpu(helm: Any) -> None:
    options = [
        word for each in settings("helm install") + settings("helm upgrade", "gpu.resource") for word in ("--set", each)
    ]
    done = helm("template", "talkingvideo", str(CHART), *options)
    assert done.returncode == 0, done.stderr
    (config,) = (
        document["data"]["config.yaml"]
        for document in yaml.safe_load_all(done.stdout)
        if document and document["kind"] == "ConfigMap"
    )
    profile = OperatorConfig.model_validate(yaml.safe_load(config)).profiles["default"]
    assert (profile.engine, profile.weights_claim) == ("infinitetalk", "talkingvideo-weights")
    assert profile.gpu is not None and profile.gpu.resource == "nvidia.com/gpu"


@pytest.mark.control_plane
def test_the_gateway_recipe_installs_a_gateway_with_the_image_that_is_built(helm: Any) -> None:
    options = [
        word
        for each in settings("helm install") + settings("helm upgrade", "gateway.enabled")
        for word in ("--set", each)
    ]
    done = helm("template", "talkingvideo", str(CHART), *options)
    assert done.returncode == 0, done.stderr
    deployments = [each for each in yaml.safe_load_all(done.stdout) if each and each["kind"] == "Deployment"]
    images = {each["spec"]["template"]["spec"]["containers"][0]["image"] for each in deployments}
    built = {word.replace("REGISTRY", "registry.example") for command in commands("docker build") for word in command}
    assert {image for image in images if "gateway" in image} <= built
    assert len(deployments) == 2


def test_the_kustomize_base_names_the_images_that_the_readme_builds() -> None:
    built = {word.rpartition("/")[2] for command in commands("docker build") for word in command if "REGISTRY/" in word}
    base = ROOT / "manifests" / "base"
    operator = yaml.safe_load((base / "kustomization.yaml").read_text())["images"][0]
    profile = yaml.safe_load((base / "config.yaml").read_text())["profiles"]["default"]
    assert {f"{operator['name']}:{operator['newTag']}", profile["workerImage"]} <= built
