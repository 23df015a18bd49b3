"""Activities in a real browser: chosen on a session's page and at the start, in two widths."""

import re
from collections.abc import Iterator

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e import seed
from tests.e2e.home import CHROMIUM, ROOT, Home, browsing, serving

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

WIDTHS = [390, 1280]


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with serving() as home:
        yield home


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, home: Home) -> Iterator[Page]:
    """A caregiver's page of that width, whose console stays silent."""
    complaints: list[str] = []
    with browsing() as chromium:
        size = {"width": request.param, "height": 900}
        page = chromium.new_context(
            base_url=home.url, viewport=size, locale="en-GB", reduced_motion="reduce"
        ).new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.goto("/login/")
        page.get_by_label("Name").fill("ines")
        page.get_by_label("Password").fill(seed.PASSWORD)
        page.get_by_role("button", name="Log in").click()
        yield page
    assert complaints == []


def looks_good(page: Page, name: str) -> None:
    """Nothing that axe finds, and nothing beside the page."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    folder = ROOT / "test-artefacts"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"activity-{name}-{width}.png", full_page=True)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_chosen_on_the_sessions_page_and_filters_the_history(page: Page, home: Home) -> None:
    page.goto(f"/sessions/{home.sessions['marta'][-2]}/")
    looks_good(page, "none")
    page.get_by_label("Activity").select_option("Reading")
    page.locator("#activity").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_text("Activity: Reading.")).to_be_visible()
    expect(page.get_by_label("Activity", exact=True)).to_have_value("reading")
    looks_good(page, "chosen")
    page.goto("/people/marta/?days=30")
    ways = page.get_by_role("navigation", name="Activity")
    ways.get_by_role("link", name="Reading").click()
    chosen = ways.get_by_role("link", name="Reading")
    expect(chosen).to_have_attribute("aria-current", "true")
    expect(page.locator(".history tbody th[scope=row]")).to_have_count(1)
    expect(page.locator(".history")).to_contain_text("Reading")
    looks_good(page, "history")
    page.goto(f"/sessions/{home.sessions['marta'][-2]}/")
    page.get_by_role("button", name="Use the device's activity").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_text("Activity: Reading.")).to_have_count(0)


def test_a_start_hands_it_to_the_device_and_the_page_offers_it_again(
    page: Page, home: Home
) -> None:
    asks_for_commands(home)
    page.goto("/people/marta/")
    select = page.get_by_label(re.compile("Activity: Living room"))
    is_narrow = bool(page.viewport_size) and page.viewport_size["width"] == WIDTHS[0]
    select.select_option("Talking" if is_narrow else "Eating")
    word = select.input_value()
    looks_good(page, "start")
    page.locator(f"#start-{home.devices['marta']}").click()
    expect(page.get_by_text(re.compile("Start request sent to Living room"))).to_be_visible()
    expect(page.get_by_label(re.compile("Activity: Living room"))).to_have_value(word)
    *_, command = asks_for_commands(home)
    assert (command["command"], command["activity"]) == ("start", word)
    # The device obeys, and puts the activity into its document.
    session_id = command["session_id"]
    said = {
        "schema": 1, "session_id": session_id, "revision": 1, "state": "interrupted",
        "started_at": "2026-11-20T10:00:00.000Z", "ended_at": "2026-11-20T10:05:00.000Z",
        "ended_by": "power_loss", "metrics": {"duration_s": 300.0}, "minutes": [],
        "clock": {"synchronized": True, "timezone": "Europe/Berlin"}, "activity": word,
    }  # fmt: skip
    answer = requests.put(
        f"{home.url}/api/session/{session_id}/", json=said, headers=_marta(home), timeout=20
    )
    assert answer.json()["outcome"] == "stored"
    page.goto(f"/sessions/{session_id}/")
    expect(page.get_by_text(f"Activity: {word.capitalize()}.")).to_be_visible()


def asks_for_commands(home: Home) -> list[dict[str, str]]:
    """Ask for commands as Marta's device does."""
    answer = requests.get(f"{home.url}/api/device/commands/", headers=_marta(home), timeout=20)
    commands: list[dict[str, str]] = answer.json()["commands"]
    return commands


def _marta(home: Home) -> dict[str, str]:
    return {"Authorization": f"Bearer {home.tokens['marta']}"}
