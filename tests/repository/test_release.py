"""One file holds the version, and what is not ready is not released."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest
from scripts import release

PINNED = {"repository": "a/b", "follows": "main", "commit": "0" * 40, "files": {"x.pth": "f" * 64}}
COMMITTER = ("-c", "user.name=test", "-c", "user.email=test@example.com")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *COMMITTER, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that a release looks at, committed, with a released version."""
    names = [*release.PLACES, "VERSION", *release.LICENCES]
    names += [f"{folder}/{licence}" for folder in release.DISTRIBUTIONS for licence in release.LICENCES]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(release.ROOT / name, tmp_path / name)
    (tmp_path / release.WEIGHTS).parent.mkdir(parents=True)
    (tmp_path / release.WEIGHTS).write_text(json.dumps([PINNED]))
    (tmp_path / "VERSION").write_text("7.8.9\n")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [7.8.9] - 2030-01-02\n\n- New.\n\n## [7.8.8] - 2030-01-01\n"
    )
    release.write(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "release")
    return tmp_path


def test_every_place_states_the_version() -> None:
    assert not list(release.stale())


@pytest.mark.parametrize("distribution", release.DISTRIBUTIONS)
def test_the_installed_packages_have_it(distribution: str) -> None:
    assert installed_version(f"talkingvideo-{distribution}") == release.version()


@pytest.mark.parametrize("name", release.PLACES)
def test_a_new_version_is_written_to_every_place(name: str, checkout: Path) -> None:
    assert set(release.PLACES[name].findall((checkout / name).read_text())) == {"7.8.9"}


@pytest.mark.parametrize("name", release.PLACES)
def test_a_place_with_another_version_is_named(name: str, checkout: Path) -> None:
    (checkout / "VERSION").write_text("8.0.0\n")
    assert f"{name} states 7.8.9, VERSION 8.0.0: make crds" in list(release.stale(checkout))


def test_a_licence_that_is_no_copy_is_named(checkout: Path) -> None:
    (checkout / "NOTICE").write_text("Another.\n")
    assert "worker/NOTICE is not a copy of NOTICE: make crds" in list(release.stale(checkout))


def test_a_ready_checkout_can_be_released(checkout: Path) -> None:
    assert not list(release.unreleasable(checkout))


def test_uncommitted_changes_are_not_released(checkout: Path) -> None:
    (checkout / "README.md").open("a").write("more\n")
    (reason,) = release.unreleasable(checkout)
    assert reason == "There are uncommitted changes: README.md"


def test_a_version_without_its_section_is_not_released(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    git(checkout, "commit", "-qam", "no section")
    (reason,) = release.unreleasable(checkout)
    assert reason.startswith("CHANGELOG.md has no section of this version: rename Unreleased to '## [7.8.9] - ")


def test_a_version_that_not_every_packager_can_have_is_not_released(checkout: Path) -> None:
    (checkout / "VERSION").write_text("8.0.0-rc.1\n")
    assert any("three numbers" in reason for reason in release.unreleasable(checkout))


@pytest.mark.parametrize(
    ("unknown", "named"),
    [({"commit": None}, "no commit of a/b"), ({"files": {"x.pth": None}}, "no sha256 of a/b's x.pth")],
)
def test_weights_that_are_not_pinned_are_not_released(unknown: dict[str, object], named: str, checkout: Path) -> None:
    (checkout / release.WEIGHTS).write_text(json.dumps([PINNED | unknown]))
    git(checkout, "commit", "-qam", "not pinned")
    (reason,) = release.unreleasable(checkout)
    assert named in reason
    assert "make update-weights" in reason


def test_the_notes_are_the_sections_text(checkout: Path) -> None:
    assert release.notes(checkout) == "- New.\n"


def test_the_changelog_has_a_section_for_what_comes() -> None:
    assert "\n## [Unreleased]\n" in (release.ROOT / "CHANGELOG.md").read_text()
