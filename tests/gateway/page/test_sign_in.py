"""A page of a gateway that has to know its callers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from starlette.requests import HTTPConnection
from tests.gateway.serving import ServedGateway, served_gateway

from talkingvideo_gateway.errors import UnauthenticatedError
from talkingvideo_gateway.identity.caller import Caller

pytestmark = pytest.mark.browser

TOKEN = "open-sesame"


class KnowsOneToken:
    """Takes a cookie for a session, as the login makes it."""

    async def authenticate(self, connection: HTTPConnection) -> Caller:
        if connection.cookies.get("session") != TOKEN:
            raise UnauthenticatedError("Nobody knows this token.")
        return Caller("ali", "default")


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[ServedGateway]:
    with served_gateway(tmp_path, authenticator=KnowsOneToken()) as served:
        yield served


@pytest.fixture
def page(closed: ServedGateway, tab: Page) -> Page:
    """The page, and the login that ``POST /session`` is."""

    def log_in(route: Route) -> None:
        if json.loads(route.request.post_data or "{}").get("token") == TOKEN:
            tab.context.add_cookies([{"name": "session", "value": TOKEN, "url": closed.url}])
            route.fulfill(json={"caller": "ali"})
        else:
            route.fulfill(status=401, json={"detail": "Nobody knows this token."})

    tab.route("**/session", log_in)
    tab.goto(closed.url)
    return tab


def test_a_stranger_sees_nothing_but_the_login(page: Page) -> None:
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("button", name="Make the video")).to_have_count(0)


def test_a_wrong_token_is_said_to_be_one(page: Page) -> None:
    page.get_by_label("Token").fill("abracadabra")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Nobody knows this token.")


def test_a_token_opens_the_page_and_a_session_that_ends_closes_it(page: Page) -> None:
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Token").press("Enter")
    expect(page.get_by_role("button", name="Make the video")).to_be_visible()
    page.context.clear_cookies()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
