"""An update from the operator's command over the page to the device: real browser, server, `sync`.

The root service is not here: tests/deploy/test_updates.py has it on a machine of its own.
"""

import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from agent import __version__
from agent.release.signature import fingerprint, pinned_key
from agent.transport.releases import ReleaseClient, key_of
from tests.broker import needs_mosquitto
from tests.e2e.home import CHROMIUM, ROOT, browsing
from tests.e2e.installation import PASSWORD, Installation, running_installation, until
from tests.releases import archive, key_pair

pytestmark = [
    pytest.mark.needs_broker,
    needs_mosquitto,
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    with running_installation(tmp_path) as running:
        yield running


def test_what_is_asked_for_on_the_page_is_downloaded_and_handed_over(
    installed: Installation, tmp_path: Path
) -> None:
    private, public = key_pair(tmp_path)
    made = archive(tmp_path, "0.9.0", machine=platform.machine(), pythons=PYTHON)
    installed.server("release", "key", "--trust", installed.file("key.pub", public), "--json")
    installed.server("release", "add", made, "--key", private, "--json")
    device = installed.server("create-device", "--person", "anna", "--name", "Desk", "--json")
    config = installed.configure(device, Path("none.mp4"))  # nothing is measured
    assert key_of(installed.url, None) == public
    pinned = config.with_name("release-key.pem")
    pinned.write_text(public)
    assert pinned_key(pinned) == public
    report(installed, device, fingerprint(public))  # sync asks again after ten minutes only
    inbox = installed.folder / "release"
    with browsing() as chromium:
        page = chromium.new_context(
            base_url=installed.url, locale="en-GB", viewport={"width": 1200, "height": 900}
        ).new_page()
        log_in(page)
        page.goto(f"/devices/{device['device']}/")
        software = page.get_by_role("region", name="Software")
        expect(software).to_contain_text(f"Version {__version__}; 0.9.0 is available.")
        looks_right(page, "offered")
        software.get_by_role("button", name="Install between sessions").click()
        expect(software).to_contain_text("Version 0.9.0 is going to be installed.")
        installed.process("agent.cli.main", "--config", str(config), "sync")
        until((inbox / "request.json").exists, "the release is handed over")
        sha256 = json.loads((inbox / "request.json").read_text())["release"]["text"]
        (downloaded,) = inbox.glob("*.tar")
        assert downloaded.stem in sha256
        assert downloaded.read_bytes() == made.read_bytes()
        expect(software).to_contain_text("Installing version 0.9.0.", timeout=60_000)
        looks_right(page, "installing")
        request = json.loads((inbox / "request.json").read_text())["id"]
        report(installed, device, fingerprint(public), went_back(request))
        expect(software).to_contain_text("The device went back", timeout=60_000)
        expect(software).to_contain_text("0.9.0 failed, and was taken back")
        looks_right(page, "went-back")
        page.set_viewport_size({"width": 375, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 375


def report(
    installed: Installation, device: dict[str, str], key: str, update: dict[str, str] | None = None
) -> None:
    """What sync tells the server."""
    told = {"version": __version__, "machine": platform.machine(), "python": PYTHON, "key": key}
    client = ReleaseClient(installed.url, device["token"])
    assert client.report({**told, "update": update}) is None


def went_back(request: str) -> dict[str, str]:
    """The same, once the root service has said so."""
    said = "0.9.0 failed, and was taken back: 0.1.0 runs again"
    return {"request": request, "state": "went_back", "code": "installer", "problem": said}


def looks_right(page: Page, name: str) -> None:
    folder = ROOT / "test-artefacts"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"update-{name}.png", full_page=True)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def log_in(page: Page) -> None:
    page.set_default_timeout(30_000)
    page.goto("/login/")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).not_to_have_url("/login/")
