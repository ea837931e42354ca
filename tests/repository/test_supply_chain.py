"""What the images and the release are made of: pinned by digest or hash everywhere, listed in an SBOM, and renewed by commands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from scripts.update_images import DOCKERFILES, PINNED, PLACES, main

ROOT = Path(__file__).parents[2]
UV = ROOT / "scripts" / "uv"
BUILDS = sorted(
    file.relative_to(ROOT).as_posix()
    for pattern in ("Dockerfile.*", "tests/cluster/Dockerfile.*")
    for file in ROOT.glob(pattern)
)
WORKFLOWS = sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / ".github" / "workflows").glob("*.yml"))
RECIPES = [*BUILDS, *WORKFLOWS, "Makefile", ".ci/run", "scripts/uv"]


@pytest.mark.parametrize("name", BUILDS)
def test_a_dockerfile_stands_on_a_digest_or_on_what_it_is_given(name: str) -> None:
    text = (ROOT / name).read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        assert image in (stages | {"${BASE}"}), image
    for default in re.findall(r"^ARG BASE=(\S+)", text, re.MULTILINE):
        assert PINNED.fullmatch(default), default


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_a_dockerfile_copies_is_in_the_context_of_its_build(name: str) -> None:
    included = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copies = re.findall(r"^COPY ((?!--from)\S.*) \S+$", (ROOT / name).read_text(), re.MULTILINE)
    for source in " ".join(copies).split():
        assert any(source == place or source.startswith(f"{place}/") for place in included), source


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_runs_in_images_by_digest(name: str) -> None:
    text = (ROOT / name).read_text()
    for image in re.findall(r"^ *(?:container|image): *(\S.*?)$", text, re.MULTILINE):
        assert image == "${{ matrix.image }}" or PINNED.fullmatch(image), image


def test_all_images_stand_on_the_same_base() -> None:
    assert len({match[0] for name in DOCKERFILES for match in PINNED.finditer((ROOT / name).read_text())}) == 1


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_is_installed_without_hashes_or_a_lock(name: str) -> None:
    lines = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    for line in lines:
        if re.search(r"\bpip3? install\b|-m pip install|/pip install", line):
            assert "--require-hashes" in line or "--no-deps" in line, line
        if re.search(r"\buv (sync|run)\b", line):
            assert "--frozen" in line, line
        assert not re.search(r"(curl|wget)[^|]*\|\s*(ba|da)?sh", line), line


def test_every_locked_package_has_hashes() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    for package in lock["package"]:
        source = package["source"]
        assert "registry" in source or source.keys() & {"editable", "virtual", "directory"}, package["name"]
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]
        assert all(file["hash"].startswith("sha256:") for file in files), package["name"]


def test_the_sbom_lists_every_package_of_the_images(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    make = re.search(r"^\t\$\(UV\) (export .*) --output-file", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert make is not None
    subprocess.run([UV, *make[1].split(), "--output-file", file], cwd=ROOT, check=True, capture_output=True)
    bom = json.loads(file.read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    listed = {(each["name"], each.get("version")): each for each in bom["components"]}
    for name in ("pydantic", "av", "torch", "kopf", "boto3"):
        assert any(known == name for known, _ in listed), name
    assert all("hashes" in reference for each in listed.values() for reference in each.get("externalReferences", ()))


def test_an_advisory_about_a_locked_package_fails_the_audit() -> None:
    """``make audit``, with an advisory service of the test's own."""
    with _server(_Advisories) as url:
        done = subprocess.run(
            [UV, "audit", "--frozen", "--service-url", url], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "GHSA-test-test-test" in done.stdout + done.stderr


def copy_places(folder: Path) -> None:
    for name in PLACES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


def test_the_present_digest_is_written_to_every_place(tmp_path: Path) -> None:
    copy_places(tmp_path)
    with _server(_Registry) as url:
        main(tmp_path, {"docker.io": url})
    for name in PLACES:
        before, after = (folder / name for folder in (ROOT, tmp_path))
        assert after.read_text() == PINNED.sub(rf"\g<name>@{_Registry.digest}", before.read_text())


def test_a_registry_without_a_digest_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Registry, "digest", "")
    copy_places(tmp_path)
    with _server(_Registry) as url, pytest.raises(LookupError, match="states no digest"):
        main(tmp_path, {"docker.io": url})
    assert all((tmp_path / name).read_text() == (ROOT / name).read_text() for name in PLACES)


class _Answering(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass

    def answer(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Registry(_Answering):
    """A registry that asks for a token, as Docker's does."""

    digest = "sha256:" + "c" * 64

    def do_HEAD(self) -> None:
        if self.headers.get("Authorization") != "Bearer anonymous":
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="registry",scope="pull"'
            return self.answer(status=401, WWW_Authenticate=realm)
        return self.answer(Docker_Content_Digest=self.digest)

    def do_GET(self) -> None:
        self.answer(json.dumps({"token": "anonymous"}).encode())


class _Advisories(_Answering):
    """An OSV service that knows one advisory, about the first package that it is asked for."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        found = [{"vulns": [{"id": "GHSA-test-test-test", "modified": "2026-01-01T00:00:00Z"}]}]
        self.answer(json.dumps({"results": found + [{}] * (len(asked) - 1)}).encode())

    def do_GET(self) -> None:
        advisory = {"id": "GHSA-test-test-test", "modified": "2026-01-01T00:00:00Z", "summary": "A test's own."}
        self.answer(json.dumps(advisory).encode())


@contextmanager
def _server(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on this machine's loopback, by its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
