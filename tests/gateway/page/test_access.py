"""Everybody can use the page: on a phone, with a screen reader, in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.gateway.page.test_list import create
from tests.gateway.serving import ServedGateway

from talkingvideo_api.conditions import Phase
from talkingvideo_api.errors import ErrorCode

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]
SERIOUS = {"serious", "critical"}


@pytest.fixture
def states(gateway: ServedGateway, portrait: Path) -> ServedGateway:
    """A video in each state."""
    texts = ("Waiting in the queue", "Rendering", "Finished", "Failed", "Cancelled")
    waiting, rendering, finished, failed, cancelled = (create(gateway, portrait, text) for text in texts)
    gateway.set_status(waiting, phase=Phase.PENDING, queue_position=2)
    gateway.render(rendering)
    gateway.succeed(finished, warnings=("A remark with a-very-long-word-" + "x" * 120,))
    gateway.fail(failed, ErrorCode.INPUT_VALIDATION, "No face was found: " + "y" * 120)
    gateway.cancelled(cancelled)
    return gateway


def opened(page: Page, gateway: ServedGateway, portrait: Path) -> Page:
    """The page with everything on it."""
    page.goto(gateway.url)
    page.get_by_label("Drop a picture here").set_input_files(portrait)
    page.get_by_role("button", name="Add a second speaker").click()
    page.get_by_role("radio", name="Tall").check()
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("article")).to_have_count(5)
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    return page


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Scheme:
    value: Scheme = request.param
    return value


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    yield context.new_page()
    context.close()


def test_axe_finds_nothing_serious(chromium: Browser, states: ServedGateway, portrait: Path, scheme: Scheme) -> None:
    # axe is put into the page, which its Content-Security-Policy forbids to everybody else.
    context = chromium.new_context(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = opened(context.new_page(), states, portrait)
    violations = Axe().run(page).response["violations"]
    context.close()
    found = [
        (row["id"], node["target"], node["failureSummary"])
        for row in violations
        if row["impact"] in SERIOUS
        for node in row["nodes"]
    ]
    assert found == []


def test_a_phone_shows_everything_without_scrolling_sideways(
    phone: Page, states: ServedGateway, portrait: Path
) -> None:
    opened(phone, states, portrait)
    assert phone.evaluate("document.documentElement.scrollWidth") == 390


def test_what_a_finger_touches_is_large_enough(phone: Page, states: ServedGateway, portrait: Path) -> None:
    opened(phone, states, portrait)
    controls = phone.locator(
        "button:visible, a.plain:visible, select:visible, label.plain:visible, .segments label:visible"
    )
    sizes = {control.inner_text(): control.bounding_box() for control in controls.all()}
    assert {text for text, box in sizes.items() if box is None or min(box["width"], box["height"]) < 24} == set()


def test_a_finger_draws_the_rectangles(phone: Page, states: ServedGateway, portrait: Path) -> None:
    opened(phone, states, portrait)
    face = phone.get_by_role("button", name="Face of speaker 1")
    before = face.get_attribute("aria-label")
    face.scroll_into_view_if_needed()
    box = face.bounding_box()
    assert box is not None
    session = phone.context.new_cdp_session(phone)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in (
        ("touchStart", [(x, y)]),
        ("touchMove", [(x + 30, y)]),
        ("touchMove", [(x + 60, y)]),
        ("touchEnd", []),
    ):
        session.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": px, "y": py} for px, py in points]}
        )
    expect(face).not_to_have_attribute("aria-label", before or "")
    assert phone.evaluate("scrollX") == 0


def test_nothing_moves_for_who_wants_no_movement(chromium: Browser, states: ServedGateway, portrait: Path) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    page = opened(context.new_page(), states, portrait)
    assert page.evaluate("document.getAnimations().length") == 0
    context.close()
