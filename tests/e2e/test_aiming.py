"""Aiming from a page: processes of both sides, a real broker, a real face, a real browser."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from agent.face import models
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
CLIP = (
    Path(os.environ.get("BLINKLOG_DATA", ROOT.parent / "shared" / "data"))
    / "clips"
    / "single_face.mp4"
)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    if not CLIP.exists():
        pytest.skip(f"no recording at {CLIP}")
    models.fetch(models.default_cache())
    with running_installation(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    "broker", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["broker", "http"]
)
def test_the_page_draws_what_the_device_sees_and_a_session_can_begin(
    installed: Installation, broker: bool
) -> None:
    device = installed.server("create-device", "--person", "anna", "--name", "Desk", "--json")
    if not broker:
        device.pop("mqtt_password")
    config = installed.configure(device, CLIP)
    for service in ("watch", "sync"):
        installed.process("agent.cli.main", "--config", str(config), service)
    with contextlib.closing(Store(installed.folder / f"{device['device'][:8]}.sqlite3")) as store:
        until(lambda: (store.noted("watch") or {}).get("state") == "ready", "watch is ready")
    with browsing() as chromium:
        page = chromium.new_context(base_url=installed.url, locale="en-GB").new_page()
        page.set_default_timeout(30_000)
        page.goto("/login/")
        page.get_by_label("User name").fill("anna")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.goto(f"/devices/{device['device']}/")
        page.get_by_role("link", name="Aim the camera").click()
        says = page.locator("#aim-says")
        for _ in range(10):  # until the device is connected
            page.get_by_role("button", name="Start aiming").click()
            if says.count():
                break
            page.wait_for_timeout(500)
        expect(says).to_have_text("Good: the eyes are seen well.", timeout=30_000)
        outline = re.compile(r"^(\S+ ){35}\S+$")
        expect(page.locator("polygon.outline")).to_have_attribute("points", outline)
        expect(page.locator("[data-name=apart_px]")).to_contain_text("pixels")
        expect(page.locator("#aim[data-blinked]")).to_be_attached()  # the clip has a blink
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        folder = ROOT / "test-artefacts"
        folder.mkdir(exist_ok=True)
        page.screenshot(path=folder / f"aim-{'mqtt' if broker else 'http'}.png", full_page=True)
        started = installed.post("/api/session/start/", {"device": device["device"]})
        assert started.status_code == 202
        until(lambda: installed.history()[:1], "a session has begun")
        expect(says).to_have_text(
            "The device has stopped aiming, or is not connected.", timeout=20_000
        )
