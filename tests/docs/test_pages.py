"""The documentation says what the code does, and its links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs.generate import PAGES

from talkingvideo_api.conditions import Reason
from talkingvideo_api.effective import resolve
from talkingvideo_api.resource import parse
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_api.support import unsupported
from talkingvideo_operator.settings import OperatorConfig, load

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WRITTEN = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").glob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
EVERYTHING_UNSUPPORTED = {
    "engine": "another",
    "source": {"image": {"uri": "s3://b/face.png"}},
    "speech": {"speakers": [{"text": "Hello"}]},
    "notify": {"url": "https://example.com"},
}


def without_description(schema: dict[str, Any], name: str) -> Iterator[str]:
    for title, model in {**schema.get("$defs", {}), name: schema}.items():
        for field, status_in_phase in model.get("properties", {}).items():
            if "description" not in status_in_phase:
                yield f"{title}.{field}"


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_generated_pages_are_current(page: str) -> None:
    assert (DOCS / page).read_text() == PAGES[page](), "make crds"


@pytest.mark.parametrize("model", [TalkingVideoSpec, TalkingVideoStatus, OperatorConfig])
def test_every_field_says_what_it_means(model: Any) -> None:
    assert not list(without_description(model.model_json_schema(by_alias=True), model.__name__))


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor:
            assert anchor[1:] in anchors(file), f"{target}{anchor}"


def test_the_readme_lists_everything_that_is_not_supported_yet() -> None:
    profile = load(ROOT / "manifests" / "base" / "config.yaml").profiles["default"]
    document = {"apiVersion": "talkingvideo.dev/v1alpha1", "kind": "TalkingVideo", "metadata": {"name": "all"}}
    spec = parse(document | {"spec": EVERYTHING_UNSUPPORTED}).spec
    deferred = unsupported(spec, resolve(spec, profile, profile_name="default", uid="u", revision="r"), profile)
    assert len(deferred) == 2, "a new row of unsupported() belongs in EVERYTHING_UNSUPPORTED"
    readme = (ROOT / "README.md").read_text()
    assert not [each.field for each in deferred if f"`{each.field.removeprefix('spec.')}`" not in readme]


def test_troubleshooting_knows_every_reason() -> None:
    operations = (DOCS / "operations.md").read_text()
    assert not [reason for reason in Reason if f"`{reason}`" not in operations]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_talkingvideos_in_the_pages_are_valid(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        for document in yaml.safe_load_all(block):
            if isinstance(document, dict) and document.get("kind") == "TalkingVideo":
                parse(document)
