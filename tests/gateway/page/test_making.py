"""Videos are made from the page, with the command that a person runs and the engine that really renders."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from tests.gateway.local_gateway import LocalGateway

pytestmark = [pytest.mark.browser, pytest.mark.media]

MADE = 60_000
"""Milliseconds that a short video takes at most."""


@pytest.fixture
def page(tab: Page, local: LocalGateway) -> Page:
    tab.goto(local.url)
    return tab


def ask_for(page: Page, portrait: Path, text: str) -> Locator:
    """Ask for a video of a text; its place in the list."""
    page.get_by_label("Drop a picture here").set_input_files(portrait)
    page.get_by_label("What is said").fill(text)
    page.get_by_role("button", name="Make the video").click()
    return page.get_by_role("article", name=text[:20])


def test_a_picture_and_a_text_become_a_video_that_plays(page: Page, portrait: Path, local: LocalGateway) -> None:
    card = ask_for(page, portrait, "I was only a picture.")
    expect(card.get_by_role("progressbar")).to_be_visible()
    expect(card).to_contain_text(re.compile("Rendering chunk 1 of 1|Joining the chunks|Ready"), timeout=MADE)
    expect(card).to_contain_text("Ready", timeout=MADE)

    card.get_by_role("button", name="Play").first.click()
    expect(card.locator("video")).to_have_js_property("ended", True, timeout=MADE)
    address = card.get_by_role("link", name="Download").get_attribute("href")
    assert httpx.get(f"{local.url}{address}", headers={"Range": "bytes=4-7"}).content == b"ftyp"


def test_a_page_that_is_loaded_again_goes_on(page: Page, portrait: Path) -> None:
    text = "This page is loaded again."
    expect(ask_for(page, portrait, text)).to_contain_text("Being made", timeout=MADE)
    page.reload()
    card = page.get_by_role("article", name=text)
    expect(card).to_contain_text("Being made")
    expect(card).to_contain_text("Ready", timeout=MADE)


def test_what_is_finished_is_watched_while_the_rest_is_made(page: Page, portrait: Path) -> None:
    card = ask_for(page, portrait, "The beginning is watched before the end is made. " * 8)
    card.get_by_role("button", name="Watch what is finished").click(timeout=MADE)
    player = card.get_by_label("What is finished of the video")
    expect(player).to_have_js_property("videoWidth", 640, timeout=MADE)
    expect(player).to_have_js_property("paused", False)
    assert player.evaluate("video => video.duration") > 15
    page.wait_for_timeout(500)
    assert 0 < player.evaluate("video => video.currentTime") <= player.evaluate("video => video.buffered.end(0)")
    expect(card).to_contain_text("Being made")
    card.get_by_role("button", name="Cancel").click()
    expect(card).to_contain_text("Cancelled")


def test_a_gateway_that_is_killed_and_started_again_is_nothing_to_act_on(
    page: Page, portrait: Path, local: LocalGateway
) -> None:
    card = ask_for(page, portrait, "This gateway is killed.")
    expect(card).to_contain_text("Being made", timeout=MADE)
    local.kill()
    expect(page.get_by_role("status").filter(has_text="does not answer")).to_be_visible()
    local.start()
    expect(page.get_by_role("status").filter(has_text="does not answer")).to_be_hidden()
    expect(card).to_contain_text("Ready", timeout=MADE)
