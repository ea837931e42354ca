"""When an image is built anew."""

import shutil
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.images import Image, input_digest

BASE = Path("python-0123.tar")
ON_VOLUME = "tests/cluster/Dockerfile.worker-on-volume"
SINGLE_FILES = [
    ".dockerignore",
    "Dockerfile.gateway",
    "Dockerfile.operator",
    "Dockerfile.worker",
    "VERSION",
    "pyproject.toml",
    "scripts/uv.txt",
    "uv.lock",
    ON_VOLUME,
]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in SINGLE_FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(images.REPOSITORY / name, tmp_path / name)
    for name in ("api", "cli", "clients", "gateway", "operator", "worker"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(images.REPOSITORY / name, tmp_path / name, ignore=ignored)
    monkeypatch.setattr(images, "REPOSITORY", tmp_path)
    return tmp_path


@pytest.mark.parametrize("image", Image)
def test_the_same_inputs_are_the_same_image(image: Image, repository: Path) -> None:
    before = input_digest(image, BASE)
    compiled = repository / "api/src/talkingvideo_api/__pycache__"
    compiled.mkdir()
    (compiled / "names.pyc").write_bytes(b"")
    assert input_digest(image, BASE) == before


@pytest.mark.parametrize(
    "changed",
    [
        "Dockerfile.operator",
        "uv.lock",
        "VERSION",
        "scripts/uv.txt",
        ".dockerignore",
        "clients/src/new.py",
        "operator/src/new.py",
    ],
)
def test_a_changed_input_is_another_image(changed: str, repository: Path) -> None:
    before = input_digest(Image.OPERATOR, BASE)
    with (repository / changed).open("a") as file:
        file.write("# changed")
    assert input_digest(Image.OPERATOR, BASE) != before


def test_another_base_is_another_image(repository: Path) -> None:
    assert input_digest(Image.OPERATOR, BASE) != input_digest(Image.OPERATOR, Path("python-4567.tar"))


def test_what_stands_on_another_image_is_built_anew_with_it(repository: Path) -> None:
    before = input_digest(Image.WORKER_ON_VOLUME, BASE)
    with (repository / "Dockerfile.worker").open("a") as file:
        file.write("# changed")
    assert input_digest(Image.WORKER_ON_VOLUME, BASE) != before


def test_the_operator_is_not_built_anew_for_the_workers_code(repository: Path) -> None:
    before = input_digest(Image.OPERATOR, BASE)
    (repository / "worker/src/new.py").write_text("")
    assert input_digest(Image.OPERATOR, BASE) == before
