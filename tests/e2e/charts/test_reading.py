"""Charts fit, tell the truth, and are read by pointer, keyboard and finger."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.home import CHROMIUM, Home
from tests.e2e.test_dashboard import (  # noqa: F401 fixtures
    DESKTOP,
    PHONE,
    Open,
    addresses,
    chromium,
    home,
    keep,
    language,
    log_in,
    open_page,
)

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]


def middle_of(page: Page, name: str, share: float) -> tuple[float, float]:
    """The place in a chart that far from its left, in pixels of the window."""
    page.locator(f"#chart-{name}").scroll_into_view_if_needed()
    box = page.locator(f"#chart-{name} .points").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * share, box["y"] + box["height"] / 2


def test_the_pointer_reads_a_chart_and_a_click_opens_the_session(open_page: Open) -> None:  # noqa: F811
    page = log_in(open_page())
    page.goto("/people/marta/")
    chart = page.locator("#chart-blink_rate_per_min")
    says = chart.locator(".chart-says")
    expect(says).to_have_css("opacity", "0")
    page.mouse.move(*middle_of(page, "blink_rate_per_min", 0.5))
    expect(says).to_have_text(re.compile(r"\d+\.\d blinks/min"))
    expect(says).to_have_css("opacity", "1")
    keep(page, "chart under the pointer")
    page.mouse.move(2, 2)
    expect(says).to_have_css("opacity", "0")
    dot = chart.locator("a:has(circle.dot)").last
    address = dot.get_attribute("href")
    dot.click()
    expect(page).to_have_url(re.compile(f"{address}$"))
    expect(page.get_by_role("heading", name="Minute by minute")).to_be_visible()
    page.mouse.move(*middle_of(page, "minutes", 0.02))
    expect(page.locator("#chart-minutes .chart-says")).to_have_text(
        re.compile("Minute 1: .* blinks")
    )


def test_the_arrow_keys_read_a_chart_and_enter_opens_a_day(open_page: Open) -> None:  # noqa: F811
    page = log_in(open_page())
    page.goto("/people/marta/?days=90")  # too many sessions for a point each: its points are days
    chart = page.locator("#chart-coverage")
    says = chart.locator(".chart-says")
    chart.focus()
    expect(chart).to_have_attribute(
        "aria-label", re.compile("Use the arrow keys to read the values")
    )
    expect(says).to_have_attribute("aria-live", "polite")
    told = []
    for key in ("End", "ArrowLeft", "ArrowRight", "ArrowRight", "Home", "ArrowLeft"):
        page.keyboard.press(key)
        told.append(says.inner_text())
    assert told[0] == told[2] == told[3] != told[1]
    assert told[4] == told[5] != told[0]
    assert all(re.match(r"\w{3} \d+ \w{3}: \d+ % measured", text) for text in told)
    page.keyboard.press("Escape")
    expect(says).to_have_text("")
    page.keyboard.press("ArrowLeft")
    day = says.inner_text().partition(":")[0]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Sessions, {day}")).to_be_visible()
    expect(page.locator(".history .day-row")).to_have_text(day)
    stops = page.evaluate(
        "[...document.querySelectorAll('.points a')].filter(e => e.tabIndex >= 0).length"
    )
    assert stops == 0


def test_a_finger_reads_a_value_first_and_opens_it_with_the_second_tap(open_page: Open) -> None:  # noqa: F811
    page = log_in(open_page(PHONE, has_touch=True))
    page.goto("/people/marta/?days=7")
    point = page.locator("#chart-blink_rate_per_min a:has(circle.day)").last
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.touchscreen.tap(*place)
    expect(page.locator("#chart-blink_rate_per_min .chart-says")).to_have_css("opacity", "1")
    assert "day=" not in page.url
    page.touchscreen.tap(*place)
    expect(page).to_have_url(re.compile("day=|/sessions/"))


def test_a_chart_of_a_running_session_is_read_after_it_has_been_drawn_again(
    home: Home,  # noqa: F811
    open_page: Open,  # noqa: F811
) -> None:
    page = open_page()
    page.clock.install()
    log_in(page)
    page.goto(addresses(home)["session under way"])
    page.evaluate("document.querySelector('[data-live]').dataset.version = 'older'")
    page.evaluate("document.querySelector('#chart-minutes').dataset.old = 'yes'")
    page.clock.run_for(6_000)
    chart = page.locator("#chart-minutes:not([data-old])")
    expect(chart).to_have_attribute("role", "application")
    chart.focus()
    page.keyboard.press("Home")
    expect(chart.locator(".chart-says")).to_have_text(re.compile("Minute 1: "))


# Labels of an axis that overlap each other or stick out of the card.
BAD_LABELS = """() => [...document.querySelectorAll(".chart")].flatMap(chart => {
    const card = chart.closest(".sheet").getBoundingClientRect();
    return ["x", "y"].flatMap(axis => {
        const labels = [...chart.querySelectorAll(`text.${axis}`)]
            .filter(each => each.checkVisibility());
        const places = labels.map(each => each.getBoundingClientRect());
        return labels.filter((each, n) =>
            places[n].left < card.left || places[n].right > card.right ||
            places.slice(n + 1).some(other =>
                other.left < places[n].right && places[n].left < other.right &&
                other.top < places[n].bottom && places[n].top < other.bottom)
        ).map(each => `${chart.id}: ${each.textContent}`);
    });
})"""
SIZES = [(1280, 100), (1280, 200), (390, 100), (320, 100), (320, 200)]


def test_the_labels_of_a_chart_fit_at_every_size(
    home: Home,  # noqa: F811
    open_page: Open,  # noqa: F811
    language: str,  # noqa: F811
) -> None:
    page = log_in(open_page(), heading={"en": "People", "de": "Personen"}[language])
    periods = [f"/people/marta/?days={days}" for days in (7, 30, 90)]
    for address in [*periods, addresses(home)["session"]]:
        page.goto(address)
        for width, text in SIZES:
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate("size => { document.documentElement.style.fontSize = size }", f"{text}%")
            assert page.evaluate(BAD_LABELS) == [], (address, width, text)
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{address} is {wide} pixels too wide for {width} at {text} %"
            assert page.locator(".chart.big text.x:visible").count() >= 1


# Charts whose marks are not where their axes say: the two drawings lie beside each other, or a bar
# does not stand on the base line.
OUT_OF_PLACE = """() => [...document.querySelectorAll(".chart")].flatMap(chart => {
    const [axes, marks] = [".picture", ".points"].map(each => chart.querySelector(each));
    const [one, other] = [axes, marks].map(each => each.getScreenCTM());
    const apart = [one.e - other.e, one.f - other.f];
    const base = axes.querySelector(".base").getBoundingClientRect().bottom;
    const bars = [...marks.querySelectorAll(".bar")].map(each => each.getBoundingClientRect());
    apart.push(...bars.map(bar => bar.bottom - base));
    const most = Math.max(...apart.map(Math.abs));
    return most > 1.5 ? [`${chart.id}: ${most.toFixed(1)} pixels`] : [];
})"""


def test_the_marks_of_a_chart_are_where_its_axes_say(
    home: Home,  # noqa: F811
    open_page: Open,  # noqa: F811
) -> None:
    page = log_in(open_page())
    for address in ["/people/marta/?days=30", addresses(home)["session"], "/people/marta/sheet/"]:
        page.goto(address)
        for width, text in SIZES:
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate("size => { document.documentElement.style.fontSize = size }", f"{text}%")
            assert page.locator(".chart").count() > 0, address
            assert page.evaluate(OUT_OF_PLACE) == [], (address, width, text)


def test_a_chart_grows_with_the_text(open_page: Open) -> None:  # noqa: F811
    page = log_in(open_page())
    page.goto("/people/marta/")
    size = (
        "each => [each, each.querySelector('text')].map(one => one.getBoundingClientRect().height)"
    )
    chart = page.locator("#chart-perclos .picture")
    small = chart.evaluate(size)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert chart.evaluate(size) == pytest.approx([2 * each for each in small], rel=0.15)
