"""A session's page shows both eyes beside each other where they differ."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.charts.test_zoom import chromium, home, page  # noqa: F401 fixtures
from tests.e2e.home import CHROMIUM, Home, device_says
from tests.e2e.test_dashboard import ARTEFACTS
from tests.server.conftest import golden

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

# Whether the table ends where its section does, and no cell is cut.
FITS = "table => table.scrollWidth <= table.parentElement.clientWidth"


def test_both_eyes_are_beside_each_other_at_every_width(home: Home, page: Page) -> None:  # noqa: F811
    ended = datetime.now(UTC) - timedelta(hours=3)
    times = {"started_at": ended - timedelta(minutes=5), "ended_at": ended}
    document = golden("final_one_eye", session_id=str(uuid.uuid4())) | {
        name: f"{at:%Y-%m-%dT%H:%M:%S}Z" for name, at in times.items()
    }
    device_says(home, "marta", document)
    page.goto(f"/sessions/{document['session_id']}/")
    table = page.locator("table.both-eyes")
    expect(table.get_by_role("row")).to_have_count(4)
    expect(table.get_by_role("row").last).to_have_text(
        "Blinks in which only the other eye closed110"
    )
    found = Axe().run(page).response
    assert found["violations"] == [], [each["id"] for each in found["violations"]]
    ARTEFACTS.mkdir(exist_ok=True)
    assert page.viewport_size
    table.screenshot(path=ARTEFACTS / f"both eyes, {page.viewport_size['width']}.png")
    for language in ("de", "en"):  # the account keeps the last one
        page.locator(f"form.languages button[value={language}]").click()
        expect(page.locator("html")).to_have_attribute("lang", language)
        for width in (page.viewport_size["width"], 320):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            assert table.evaluate(FITS), width
        table.screenshot(path=ARTEFACTS / f"both eyes, {language}.png")
