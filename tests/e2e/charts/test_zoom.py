"""Choosing a span of days on a person's page: by dragging, by keyboard, and without scripts."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.charts.test_reading import middle_of
from tests.e2e.home import CHROMIUM, Home, browsing, serving
from tests.e2e.test_dashboard import ARTEFACTS, log_in

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]
PERSON = "/people/marta/"
RATE = "blink_rate_per_min"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with serving() as home:
        yield home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(params=[390, 1280])
def page(request: pytest.FixtureRequest, home: Home, chromium: Browser) -> Iterator[Page]:
    """A page of that width, whose console must stay silent."""
    size = {"width": request.param, "height": 900}
    context = chromium.new_context(
        base_url=home.url, viewport=size, locale="en-GB", reduced_motion="reduce"
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield log_in(page)
    context.close()
    assert complaints == []


def span_of(page: Page) -> tuple[date, date]:
    """The chosen days, which address and date fields agree on."""
    query = parse_qs(urlsplit(page.url).query)
    first, last = query["from"][0], query["to"][0]
    expect(page.get_by_label("First day")).to_have_value(first)
    expect(page.get_by_label("Last day")).to_have_value(last)
    return date.fromisoformat(first), date.fromisoformat(last)


def is_narrow(page: Page) -> None:
    """The page is about these days, breaks no rule, fits, and leads back and to the sessions."""
    first, last = span_of(page)
    chart = page.locator(f"#chart-{RATE}")
    expect(chart).to_have_attribute("data-first", str(first))
    expect(chart).to_have_attribute("data-days", str((last - first).days + 1))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(page).response
    assert found["violations"] == [], [each["id"] for each in found["violations"]]
    width = page.viewport_size["width"] if page.viewport_size else 0
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"span of days, {width}.png", full_page=True)


def drag(page: Page, start: float, end: float) -> None:
    x, y = middle_of(page, RATE, start)
    page.mouse.move(x, y)
    page.mouse.down()
    to, _y = middle_of(page, RATE, end)
    page.mouse.move((x + to) / 2, y, steps=4)
    page.mouse.move(to, y, steps=4)


def test_dragging_over_a_chart_narrows_the_page_and_one_gets_back(page: Page) -> None:
    page.goto(PERSON)
    first = date.fromisoformat(page.locator(f"#chart-{RATE}").get_attribute("data-first") or "")
    drag(page, 0.72, 0.52)  # from the 22nd day back to the 16th
    expect(page.locator(f"#chart-{RATE} .chart-span")).to_be_visible()
    expect(page.locator(f"#chart-{RATE} .chart-says")).to_have_css("opacity", "1")
    page.mouse.up()
    page.wait_for_url(re.compile("from="))
    assert span_of(page) == (first + timedelta(days=15), first + timedelta(days=21))
    is_narrow(page)
    dot = page.locator(f"#chart-{RATE} a:has(circle.dot)").first
    address = dot.get_attribute("href") or ""
    dot.click()
    expect(page).to_have_url(re.compile(f"{address}$"))  # one click to a session
    page.go_back()
    page.get_by_role("link", name="Back to 30 days").click()
    expect(page.locator(f"#chart-{RATE}")).to_have_attribute("data-days", "30")
    assert "from=" not in page.url


def test_a_drag_can_be_given_up_and_a_short_one_is_a_click(page: Page) -> None:
    page.goto(PERSON)
    drag(page, 0.3, 0.6)
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(page.locator(".chart-span")).to_have_count(0)
    x, y = middle_of(page, "coverage", 0.5)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 5, y)
    page.mouse.up()
    assert "from=" not in page.url


def test_two_days_are_chosen_by_keyboard(page: Page) -> None:
    page.goto(f"{PERSON}?days=90")
    chart = page.locator("#chart-coverage")
    chart.focus()
    expect(chart).to_have_attribute("aria-label", re.compile("Press Space on two days"))
    for key in ("End", "ArrowLeft", "Space", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(chart.locator(".chart-span")).to_be_visible()
    expect(chart.locator(".chart-says")).to_have_text(re.compile(r"% measured.* · \d"))
    page.keyboard.press("Escape")
    expect(chart.locator(".chart-span")).to_have_count(0)
    for key in ("End", "Space", "ArrowLeft", "ArrowLeft", "Space"):
        page.keyboard.press(key)
    page.wait_for_url(re.compile("from="))
    first, last = span_of(page)
    assert timedelta(days=2) <= last - first <= timedelta(days=9)
    is_narrow(page)


def test_without_scripts_and_in_print_the_date_fields_do_the_same(
    home: Home, chromium: Browser
) -> None:
    context = chromium.new_context(base_url=home.url, java_script_enabled=False, locale="en-GB")
    context.set_default_timeout(15_000)
    page = log_in(context.new_page())
    page.goto(PERSON)
    expect(page.get_by_text("Or drag over a chart.")).to_be_hidden()
    last = date.fromisoformat(page.get_by_label("Last day").input_value())
    page.get_by_label("First day").fill(str(last - timedelta(days=4)))
    page.get_by_role("button", name="Show these days").click()
    assert span_of(page) == (last - timedelta(days=4), last)
    page.emulate_media(media="print")
    expect(page.locator("#span")).to_be_hidden()
    expect(page.locator(f"#chart-{RATE}")).to_have_attribute("data-days", "5")
    context.close()
