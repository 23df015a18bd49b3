"""Pages that answer: help, today, errors and confirmations, looked at in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e import seed
from tests.e2e.home import CHROMIUM, ROOT, Home, browsing, serving

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

ARTEFACTS = ROOT / "test-artefacts"
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
PAGES = {
    "help": "/help/",
    "forgotten": "/login/forgotten/",
    "person": "/people/jonas/",
    "account": "/account/",
    "shorten": "/account/data/shorten/?days=7",
    "rule": "/alerts/rules/new/ines/blink_rate/",
    "told": "/alerts/ways/",
}


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


def looked_at(page: Page, name: str) -> None:
    """Axe finds nothing, nothing is wider than the page, and a picture is kept."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=Path(ARTEFACTS) / f"words-{name}.png", full_page=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("de", "dark")])
def test_every_page_is_accessible_and_fits(
    home: Home, chromium: Browser, size: str, language: str, scheme: str
) -> None:
    context = open_for(chromium, home, viewport=SIZES[size], locale=language, color_scheme=scheme)
    page = context.new_page()
    log_in(page, "ines")
    page.locator(f"form.languages button[value={language}]").click()
    for name, address in PAGES.items():
        page.goto(address)
        for part in page.locator("details").all()[:1]:
            part.evaluate("part => part.open = true")
        looked_at(page, f"{name}-{size}-{language}")
    context.close()


def test_an_error_is_above_the_fold_with_the_focus(home: Home, chromium: Browser) -> None:
    context = open_for(chromium, home, viewport=SIZES["phone"], locale="en-GB")
    page = context.new_page()
    log_in(page, "tom")
    page.goto("/alerts/ways/")
    page.get_by_label("Webhook").fill("http://127.0.0.1/")
    page.get_by_role("button", name="Save").click()
    errors = page.locator("#form-errors")
    expect(errors).to_be_focused()
    expect(errors).to_be_in_viewport()
    errors.get_by_role("link", name="Webhook").click()
    expect(page.get_by_label("Webhook")).to_be_in_viewport()
    looked_at(page, "errors-phone")
    context.close()


def test_an_account_in_utc_takes_the_browsers_zone_with_one_click(
    home: Home, chromium: Browser
) -> None:
    context = open_for(
        chromium, home, viewport=SIZES["phone"], locale="en-GB", timezone_id="Europe/Lisbon"
    )
    page = context.new_page()
    log_in(page, "marie")
    looked_at(page, "zone-phone")
    page.get_by_role("button", name="Use this time zone: Europe/Lisbon").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_text("Your account uses UTC")).to_have_count(0)
    page.goto("/account/")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Lisbon")
    context.close()
