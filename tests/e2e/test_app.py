"""The pages as an app on a phone: installable, and the last view marked as old while offline."""

import json
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e import seed
from tests.e2e.home import CHROMIUM, Home, browsing, serving

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]
KEPT = "async () => (await (await caches.open('views')).keys()).some((e) => e.url.includes('%s'))"
INSTALLED = "Object.defineProperty(navigator, 'standalone', {get: () => true})"
READY = "async () => { await navigator.serviceWorker.ready }"
SAVED = "async () => (await (await caches.open('views')).keys()).map((each) => each.url)"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with serving() as home:
        yield home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


def phone(home: Home, chromium: Browser, *, installed: bool = True) -> tuple[BrowserContext, Page]:
    context = chromium.new_context(
        base_url=home.url, viewport={"width": 390, "height": 844}, locale="en-GB"
    )
    if installed:
        context.add_init_script(INSTALLED)
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("Name").fill("ines")
    page.get_by_label("Password").fill(seed.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.evaluate(READY)
    return context, page


def test_without_a_connection_the_last_view_is_shown_and_marked_as_old(
    home: Home, chromium: Browser
) -> None:
    context, page = phone(home, chromium)
    page.goto("/people/marta/")
    expect(page.locator("#saved")).to_be_hidden()
    page.wait_for_function(KEPT % "marta")
    context.set_offline(True)
    page.goto("/people/marta/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Marta")
    expect(page.locator("#saved")).to_contain_text("This page was saved in this browser")
    assert page.locator("#saved time").get_attribute("datetime")
    assert page.locator("form").count() == 0
    assert Axe().run(page).violations_count == 0
    page.goto("/account/")
    expect(page.get_by_role("heading", level=1)).to_have_text("No connection")
    context.set_offline(False)
    page.goto("/people/marta/")
    expect(page.locator("#saved")).to_be_hidden()
    context.close()


def test_only_the_installed_app_keeps_pages_and_only_those_of_measurements(
    home: Home, chromium: Browser
) -> None:
    context, page = phone(home, chromium, installed=False)
    page.goto("/people/marta/")
    assert page.evaluate(SAVED) == []
    context.close()
    context, page = phone(home, chromium)
    page.goto("/alerts/ways/")
    page.goto("/account/")
    page.goto("/alerts/")
    page.wait_for_function(KEPT % "alerts")
    paths = {url.removeprefix(home.url) for url in page.evaluate(SAVED)}
    assert paths <= {"/", "/alerts/"}
    context.close()


def test_logging_out_leaves_nothing_on_the_phone(home: Home, chromium: Browser) -> None:
    context, page = phone(home, chromium)
    page.goto("/people/marta/")
    page.wait_for_function("async () => (await (await caches.open('views')).keys()).length > 0")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_function("async () => !(await caches.has('views'))")
    context.close()


def test_the_manifest_makes_it_installable(home: Home) -> None:
    with urlopen(f"{home.url}/app.webmanifest", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "application/manifest+json"
        told = json.load(answer)
    assert (told["display"], told["start_url"], told["scope"]) == ("standalone", "/", "/")
    for icon in told["icons"]:
        with urlopen(home.url + icon["src"], timeout=10) as answer:
            assert answer.read(8) == b"\x89PNG\r\n\x1a\n"
