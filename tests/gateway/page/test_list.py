"""The list shows how each video stands, and what can be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.gateway.serving import VIDEO, ServedGateway

from talkingvideo_api.conditions import Phase
from talkingvideo_api.errors import ErrorCode

pytestmark = pytest.mark.browser


def create(gateway: ServedGateway, portrait: Path, text: str = "What the list shows.", **spec: Any) -> str:
    """Ask for a video over the API; the name of its object."""
    with gateway.client() as client:
        fields = {"speech": {"speakers": [{"text": text, "voice": "de"}]}, **spec}
        answer = client.post(
            "/v1/videos", json={"talkingvideo": {"source": {"image": {"uri": "https://example.com/p.jpg"}}, **fields}}
        )
    name: str = answer.raise_for_status().json()["talkingvideo"]["name"]
    return name


@pytest.fixture
def name(gateway: ServedGateway, portrait: Path) -> str:
    return create(gateway, portrait)


@pytest.fixture
def shown(gateway: ServedGateway, name: str, tab: Page) -> Page:
    """The page with one video."""
    tab.goto(gateway.url)
    return tab


def test_the_place_in_the_queue(shown: Page, gateway: ServedGateway, name: str) -> None:
    gateway.set_status(name, phase=Phase.PENDING, queue_position=3)
    expect(shown.get_by_role("article")).to_contain_text("Number 3 in the queue")


def test_chunks_and_no_estimate_before_there_is_one(shown: Page, gateway: ServedGateway, name: str) -> None:
    gateway.render(name)
    card = shown.get_by_role("article")
    expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "40")
    expect(card.locator(".bar .fill.finished")).to_have_count(2)
    expect(card).to_contain_text("2 of 4 chunks rendered")
    expect(card).to_contain_text("no estimate yet")


def test_a_failure_with_its_remedy_is_tried_again(shown: Page, gateway: ServedGateway, name: str) -> None:
    gateway.fail(name, ErrorCode.OOM, "The GPU has too little memory.")
    card = shown.get_by_role("article")
    expect(card).to_contain_text("The GPU has too little memory.")
    expect(card).to_contain_text("Try again, with 480p if it was 720p")
    card.get_by_role("button", name="Try again").click()
    expect(card).to_contain_text("Waiting")
    assert gateway.video(name).retry


def test_a_video_is_cancelled(shown: Page, gateway: ServedGateway, name: str) -> None:
    shown.get_by_role("button", name="Cancel").click()
    expect(shown.get_by_role("article")).to_contain_text("Cancelled")
    assert gateway.video(name).spec["cancel"] is True


class TestFinished:
    @pytest.fixture(autouse=True)
    def _finished(self, gateway: ServedGateway, name: str, shown: Page) -> None:
        gateway.succeed(name, warnings=("espeak-ng spoke the text.",))
        expect(shown.get_by_role("article")).to_contain_text("Ready")

    def test_it_says_what_it_is(self, shown: Page) -> None:
        card = shown.get_by_role("article")
        expect(card).to_contain_text("0:14")
        expect(card).to_contain_text("640 × 480")
        card.get_by_text("One remark").click()
        expect(card).to_contain_text("espeak-ng spoke the text.")

    def test_it_is_downloaded(self, shown: Page) -> None:
        with shown.expect_download() as download:
            shown.get_by_role("link", name="Download").click()
        assert download.value.path().read_bytes() == VIDEO

    def test_it_is_shared_for_a_while(self, shown: Page) -> None:
        shown.get_by_role("button", name="Share").click()
        address = shown.get_by_label("Whoever has this address can watch the video for about a day.")
        assert httpx.get(address.input_value()).content == VIDEO

    def test_it_is_made_again_with_one_change(self, shown: Page, gateway: ServedGateway, name: str) -> None:
        shown.get_by_role("button", name="Again, with a change").click()
        text = shown.get_by_label("What is said")
        expect(text).to_have_value("What the list shows.")
        expect(shown.get_by_label("Read by")).to_have_value("de")
        text.fill("Something else.")
        shown.get_by_role("button", name="Make the video").click()
        expect(shown.get_by_role("article")).to_have_count(2)
        again = next(video for video in gateway.videos() if video.name != name)
        assert again.spec["source"] == gateway.video(name).spec["source"]
        assert again.spec["speech"]["speakers"] == [{"text": "Something else.", "voice": "de"}]

    def test_it_is_deleted_when_that_was_meant(self, shown: Page, gateway: ServedGateway) -> None:
        shown.get_by_role("button", name="Delete").click()
        assert len(gateway.videos()) == 1
        shown.get_by_role("button", name="Delete for good?").click()
        expect(shown.get_by_role("article")).to_have_count(0)
        assert gateway.videos() == []
