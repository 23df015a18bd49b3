"""One's own data in a real browser: taken away, and deleted after the page has said how much."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e import seed
from tests.e2e.home import CHROMIUM, ROOT, Home, browsing, serving

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

ARTEFACTS = ROOT / "test-artefacts"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with serving() as home:
        yield home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


def looked_at(page: Page, name: str) -> None:
    """Axe finds nothing; a picture is kept."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"keeping-{name}.png", full_page=True)


def test_marta_takes_everything_with_her_and_deletes_a_session(
    home: Home, chromium: Browser, tmp_path: Path
) -> None:
    context = chromium.new_context(
        base_url=home.url, viewport={"width": 1280, "height": 900}, locale="en-GB"
    )
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("Name").fill("marta")
    page.get_by_label("Password").fill(seed.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Account").click()
    page.get_by_role("link", name="Your data").click()
    looked_at(page, "data")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export everything").click()
    download.value.save_as(tmp_path / "all.zip")
    gone = home.sessions["marta"][-2]
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        assert f"sessions/{gone}.json" in archive.namelist()
    page.goto(f"/sessions/{gone}/")
    page.get_by_role("link", name="Delete this session").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete 1 session")
    looked_at(page, "session")
    page.get_by_label("Your password").fill(seed.PASSWORD)
    page.get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_text("1 session was deleted:")).to_be_visible()
    answer = page.goto(f"/sessions/{gone}/")
    assert answer is not None
    assert answer.status == 404
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.goto("/account/data/delete/account/")
    looked_at(page, "account-dark")
    page.goto("/devices/")
    page.get_by_role("link", name="Living room").first.click()
    page.get_by_role("link", name="Home Assistant").click()
    looked_at(page, "home-assistant-dark")
    context.close()
