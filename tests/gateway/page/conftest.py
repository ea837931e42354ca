"""A real Chromium, and pages in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.cluster.unavailable import UnavailableError, skipped_when_unavailable
from tests.gateway.local_gateway import LocalGateway
from tests.gateway.serving import ServedGateway

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
"""Root has no sandbox; microphones are simulated ones that hum."""

expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Ends with the module: while Playwright runs, no other test can run an event loop in this thread."""
    with skipped_when_unavailable():
        program = next(filter(None, map(shutil.which, CHROMIUM)), None)
        if program is None:
            raise UnavailableError("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Page]:
    """A desktop's window. What the page reports as an error fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, permissions=["microphone"])
    context.set_default_timeout(15_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def page(gateway: ServedGateway, tab: Page) -> Page:
    """The page of a gateway whose videos nobody makes."""
    tab.goto(gateway.url)
    return tab


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    """``talkingvideo-gateway serve --local`` with the preview engine."""
    gateway = LocalGateway(tmp_path_factory.mktemp("served"))
    gateway.start()
    yield gateway
    gateway.kill()


@pytest.fixture(scope="session")
def portrait() -> Path:
    return Path(__file__).parents[3] / "examples" / "portrait.jpg"


@pytest.fixture(scope="session")
def recording() -> Path:
    return Path(__file__).parents[3] / "examples" / "voice.ogg"
