"""Errors that are seen at once, and the browser's time zone, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.e2e import seed
from tests.e2e.home import CHROMIUM, Home, browsing, serving

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with serving() as home:
        yield home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


def open_for(chromium: Browser, home: Home, **options: object) -> BrowserContext:
    return chromium.new_context(base_url=home.url, **options)


def log_in(page: Page, name: str) -> None:
    page.goto("/login/")
    page.locator("#id_username").fill(name)
    page.locator("#id_password").fill(seed.PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/")


def test_an_error_is_above_the_fold_with_the_focus(home: Home, chromium: Browser) -> None:
    context = open_for(chromium, home, viewport=PHONE, locale="en-GB")
    page = context.new_page()
    log_in(page, "tom")
    page.goto("/alerts/ways/")
    page.get_by_text("Other services: an ntfy server").click()
    page.get_by_label("Webhook").fill("http://127.0.0.1/")
    page.get_by_role("button", name="Save").click()
    errors = page.locator("#form-errors")
    expect(errors).to_be_focused()
    expect(errors).to_be_in_viewport()
    errors.get_by_role("link", name="Webhook").click()
    expect(page.get_by_label("Webhook")).to_be_in_viewport()
    context.close()


def test_an_account_in_utc_takes_the_browsers_zone_with_one_click(
    home: Home, chromium: Browser
) -> None:
    context = open_for(chromium, home, viewport=PHONE, locale="en-GB", timezone_id="Europe/Lisbon")
    page = context.new_page()
    log_in(page, "marie")
    page.get_by_role("button", name="Use this time zone: Europe/Lisbon").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_text("Your account uses UTC")).to_have_count(0)
    page.goto("/account/")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Lisbon")
    context.close()
