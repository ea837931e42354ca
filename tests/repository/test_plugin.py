"""The kubectl plugin as krew installs it: manifest, archive, and the first start of its launcher."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from scripts import plugin
from scripts.release import version

SHA256 = "0123456789abcdef" * 4
MAIN = "import sys\nprint('started', *sys.argv[1:])\nsys.exit(5)\n"


def test_the_manifest_has_krews_shape() -> None:
    """https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/ and the rules of krew-index."""
    text = plugin.filled("owner/repo", SHA256)
    manifest = yaml.safe_load(text)
    assert (manifest["apiVersion"], manifest["kind"]) == ("krew.googlecontainertools.github.com/v1alpha2", "Plugin")
    name, spec = manifest["metadata"]["name"], manifest["spec"]
    assert plugin.LAUNCHER.name == f"kubectl-{name}"
    assert spec.keys() == {"version", "homepage", "shortDescription", "description", "caveats", "platforms"}
    assert spec["version"] == f"v{version()}"
    assert len(spec["shortDescription"]) <= 50 and not spec["shortDescription"].endswith(".")
    assert all(len(line) <= 100 for line in spec["description"].splitlines())
    (platform,) = spec["platforms"]
    assert platform["sha256"] == SHA256
    assert platform["bin"] == plugin.LAUNCHER.name
    assert platform["uri"] == (
        f"https://github.com/owner/repo/releases/download/v{version()}/kubectl-talkingvideo-{version()}.tar.gz"
    )
    assert platform["selector"] == {
        "matchExpressions": [{"key": "os", "operator": "In", "values": ["darwin", "linux"]}]
    }
    assert not re.findall(r"REPOSITORY|SHA256|VERSION", text)


def test_an_archive_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(b"a wheel")
    first = plugin.packed([plugin.LAUNCHER, wheel])
    wheel.touch()
    assert plugin.packed([wheel, plugin.LAUNCHER]) == first
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert [(entry.name, entry.mode) for entry in tar] == [("a.whl", 0o644), ("kubectl-talkingvideo", 0o755)]


@pytest.mark.harness
def test_the_archive_has_the_wheels_and_the_locked_packages(tmp_path: Path) -> None:
    archive, manifest = plugin.build(tmp_path, "owner/repo")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in manifest.read_text()
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        requirements = tar.extractfile("requirements.txt")
        assert requirements is not None
        text = requirements.read().decode()
    assert names == [
        "LICENSE",
        "NOTICE",
        "kubectl-talkingvideo",
        "requirements.txt",
        *(f"talkingvideo_{name}-{version()}-py3-none-any.whl" for name in ("api", "cli", "clients")),
    ]
    packages = re.findall(r"^([\w-]+)==", text, re.MULTILINE)
    assert {"aiohttp", "boto3", "kubernetes", "pydantic", "pyyaml", "rich", "typer"} <= {*packages}
    assert not {"av", "kopf", "numpy", "opencv-python-headless", "torch"} & {*packages}
    assert text.count("--hash=sha256:") >= len(packages)


@pytest.mark.harness
def test_the_launchers_first_start_installs_what_is_beside_it(tmp_path: Path) -> None:
    """With a small program in place of ours, which needs no network."""
    folder, link = tmp_path / "store" / "v1", tmp_path / "bin" / "kubectl-talkingvideo"
    folder.mkdir(parents=True)
    link.parent.mkdir()
    (folder / "requirements.txt").write_text("")
    (folder / plugin.LAUNCHER.name).write_bytes(plugin.LAUNCHER.read_bytes())
    (folder / plugin.LAUNCHER.name).chmod(0o755)
    write_wheel(folder / "talkingvideo_cli-1-py3-none-any.whl")
    link.symlink_to(folder / plugin.LAUNCHER.name)

    def start() -> subprocess.CompletedProcess[str]:
        return subprocess.run([link, "watch", "a b"], capture_output=True, text=True, timeout=200)

    first, second = start(), start()
    assert (first.returncode, first.stdout) == (5, "started watch a b\n"), first.stderr
    assert first.stderr == "kubectl talkingvideo installs its packages, once\n"
    assert (second.returncode, second.stdout, second.stderr) == (5, "started watch a b\n", "")
    assert not [*folder.glob(".venv-*")]


def write_wheel(file: Path) -> None:
    files = {
        "talkingvideo_cli/__init__.py": "",
        "talkingvideo_cli/__main__.py": MAIN,
        "talkingvideo_cli-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: talkingvideo-cli\nVersion: 1\n",
        "talkingvideo_cli-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, "talkingvideo_cli-1.dist-info/RECORD"))
    with zipfile.ZipFile(file, "w") as wheel:
        for name, text in {**files, "talkingvideo_cli-1.dist-info/RECORD": record}.items():
            wheel.writestr(name, text)
