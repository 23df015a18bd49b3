"""Blink reminders from the page to the device's store: real browser, server, broker and `sync`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from agent.records import SETTINGS
from agent.store.store import Store
from tests.broker import needs_mosquitto
from tests.e2e.home import CHROMIUM, ROOT, browsing
from tests.e2e.installation import PASSWORD, Installation, running_installation, until

pytestmark = [
    pytest.mark.needs_broker,
    needs_mosquitto,
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    with running_installation(tmp_path) as running:
        yield running


@pytest.mark.parametrize("broker", [True, False], ids=["broker", "http"])
def test_what_is_set_on_the_page_is_kept_by_the_device(
    installed: Installation, broker: bool
) -> None:
    """Slow over the broker, because the consumer looks for changes every ten seconds."""
    device = installed.server("create-device", "--person", "anna", "--name", "Desk", "--json")
    if not broker:
        device.pop("mqtt_password")
    config = installed.configure(device, Path("none.mp4"))  # nothing is measured
    if broker:
        installed.process("agent.cli.main", "--config", str(config), "sync")
    with browsing() as chromium:
        page = chromium.new_context(
            base_url=installed.url,
            locale="en-GB",
            java_script_enabled=broker,
            color_scheme="light" if broker else "dark",
            viewport={"width": 1200 if broker else 375, "height": 800},
        ).new_page()
        set_on_the_page(page, device["device"])
        folder = ROOT / "test-artefacts"
        folder.mkdir(exist_ok=True)
        page.screenshot(path=folder / f"reminding-{broker}.png", full_page=True)
        if broker:
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= (1200 if broker else 375)
    if not broker:
        installed.process("agent.cli.main", "--config", str(config), "sync")
    with contextlib.closing(Store(installed.folder / f"{device['device'][:8]}.sqlite3")) as store:
        until(lambda: (store.noted(SETTINGS) or {}).get("reminding"), "the settings have arrived")
        assert store.noted(SETTINGS)["reminding"] == {"below_per_min": 8.5}


def set_on_the_page(page: Page, device: str) -> None:
    page.set_default_timeout(30_000)
    page.goto("/login/")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.goto(f"/devices/{device}/")
    page.get_by_role("link", name="Blink reminders").click()
    expect(page.get_by_label("Never")).to_be_checked()
    page.get_by_label("Below a fixed limit").check()
    page.get_by_label("Fixed limit, in blinks a minute").fill("8.5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_label("Below a fixed limit")).to_be_checked()
