"""What the page is made of: files of this repository, confined, cached by their digest, with nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest

from talkingvideo_api.errors import ErrorCode
from talkingvideo_gateway.page.assets import load
from talkingvideo_gateway.page.facts import REMEDIES

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "gateway/src/talkingvideo_gateway/page"
STATIC = PAGE / "static"
VENDORED = json.loads((PAGE / "vendored.json").read_text())
TEXTS = sorted(path for path in STATIC.rglob("*") if path.suffix in {".css", ".html", ".js", ".svg"})
OWN_MODULES = sorted(STATIC.glob("*.js"))
NAMES_NOT_ADDRESSES = ("http://www.w3.org/", "https://picocss.com")
"""Names of XML namespaces, and the address in Pico's licence comment: nothing loads them."""


@pytest.mark.parametrize("row", VENDORED, ids=lambda row: row["file"])
def test_vendored_files_are_those_of_the_manifest(row: dict[str, str]) -> None:
    assert hashlib.sha256((STATIC / row["file"]).read_bytes()).hexdigest() == row["sha256"]


@pytest.mark.parametrize("row", VENDORED, ids=lambda row: row["file"])
def test_vendored_files_are_named_with_their_licences(row: dict[str, str]) -> None:
    name, notice = Path(row["file"]).name, (ROOT / "NOTICE").read_text()
    assert re.search(rf"^ +{re.escape(name)} .*{re.escape(row['version'])}", notice, re.MULTILINE)
    assert f"== {name}" in (STATIC / "vendor" / "LICENCES.txt").read_text()


def test_nothing_is_vendored_without_a_row() -> None:
    files = {f"vendor/{path.name}" for path in (STATIC / "vendor").iterdir()} - {"vendor/LICENCES.txt"}
    assert files == {row["file"] for row in VENDORED}


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_no_file_names_an_address_elsewhere(file: Path) -> None:
    found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"'`)]*", file.read_text())
    assert [address for address in found if not address.startswith(NAMES_NOT_ADDRESSES)] == []


def test_the_index_has_no_inline_script_and_no_inline_style() -> None:
    index = (STATIC / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\ssrc=)", index) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", index) == []


@pytest.mark.parametrize("file", OWN_MODULES, ids=lambda file: file.name)
def test_every_import_is_a_file_of_the_page(file: Path) -> None:
    names = re.findall(r"""(?:from|import)\s+["'](.+?)["']""", file.read_text())
    assert all(name.startswith("./") and (STATIC / name).is_file() for name in names)


@pytest.mark.parametrize("file", OWN_MODULES, ids=lambda file: file.name)
def test_modules_stay_small(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 300


def test_every_failure_has_a_remedy() -> None:
    assert REMEDIES.keys() == set(ErrorCode)


class TestServing:
    def test_the_page_may_load_its_own_files_only(self, http: httpx.Client) -> None:
        answer = http.get("/")
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert "unsafe" not in answer.headers["content-security-policy"]

    def test_every_file_is_sent_with_its_own_type_and_is_not_guessed_at(self, http: httpx.Client) -> None:
        page = load()
        assert page.assets.keys() >= {"main.js", "style.css", "vendor/pico.css", "vendor/inter.woff2"}
        for path, asset in page.assets.items():
            answer = http.get(f"/page/{page.digest}/{path}")
            assert (answer.status_code, answer.content) == (200, asset.content)
            assert answer.headers["content-type"] == asset.media_type
            assert answer.headers["x-content-type-options"] == "nosniff"

    def test_files_are_cached_for_ever_under_the_digest_of_all_of_them(self, http: httpx.Client) -> None:
        answer = http.get(f"/page/{load().digest}/main.js")
        assert "immutable" in answer.headers["cache-control"]
        assert f"/page/{load().digest}/main.js" in http.get("/").text

    def test_a_file_of_another_release_is_not_found(self, http: httpx.Client) -> None:
        answer = http.get("/page/0123456789abcdef/main.js")
        assert answer.status_code == 404
        assert "immutable" not in answer.headers.get("cache-control", "")

    @pytest.mark.parametrize("path", ["../routes.py", "%2e%2e/routes.py", "vendor/LICENCES.txt", "index.html", ""])
    def test_nothing_else_is_sent(self, http: httpx.Client, path: str) -> None:
        assert http.get(f"/page/{load().digest}/{path}", follow_redirects=True).status_code == 404

    def test_an_unchanged_page_is_not_sent_again(self, http: httpx.Client) -> None:
        etag = http.get("/").headers["etag"]
        assert http.get("/", headers={"If-None-Match": etag}).status_code == 304

    def test_files_are_sent_as_they_are_to_who_cannot_unzip(self, http: httpx.Client) -> None:
        answer = http.get("/", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in answer.headers
        assert "main.js" in answer.text

    def test_the_facts_have_the_limits_and_what_failures_mean(self, http: httpx.Client) -> None:
        facts = http.get("/page/facts").json()
        assert facts["limits"] == {"picture_bytes": 10_000_000, "sound_bytes": 50_000_000}
        assert facts["failures"]["E_OOM"]["remedy"] == REMEDIES[ErrorCode.OOM]
