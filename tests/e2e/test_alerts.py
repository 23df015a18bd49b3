"""Being told, in a real browser: a rule is made, a pass finds something, the page says so."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e import seed
from tests.e2e.home import CHROMIUM, ROOT, Home, browsing, run_python, serving

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

ARTEFACTS = ROOT / "test-artefacts"
# Marta lets Ines be told; her device was last heard of two hours ago.
PREPARE = """
import django; django.setup()
from datetime import timedelta
from django.utils import timezone
from server.care.models import CareLink
from server.devices.models import Device
CareLink.objects.filter(caregiver__username="ines", person__username="marta").update(
    may_get_alerts=True)
Device.objects.filter(person__username="marta").update(
    online=None, last_seen_at=timezone.now() - timedelta(hours=2))
"""


@pytest.fixture
def home() -> Iterator[Home]:
    with serving() as home:
        run_python(home, "-c", PREPARE)
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
    page.screenshot(path=ARTEFACTS / f"alerts-{name}.png", full_page=True)


@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        pytest.param("light", (1280, 900), id="desktop", marks=pytest.mark.slow),
        pytest.param("dark", (390, 844), id="phone"),
    ],
)
def test_a_rule_is_made_and_what_it_finds_is_on_the_page(
    home: Home, chromium: Browser, scheme: str, size: tuple[int, int]
) -> None:
    context = chromium.new_context(
        base_url=home.url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,  # type: ignore[arg-type]
        locale="en-GB",
    )
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("Name").fill("ines")
    page.get_by_label("Password").fill(seed.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Alerts").click()
    page.get_by_role("link", name="Add a rule").click()
    page.get_by_label("Person").select_option("marta")
    page.get_by_label("No session by a time of day").check()
    looked_at(page, f"choose-{scheme}")
    page.get_by_role("button", name="Continue").click()
    looked_at(page, f"rule-{scheme}")
    page.go_back()
    page.get_by_label("Person").select_option("marta")
    page.get_by_label("Device not connected").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Minutes not connected").fill("30")
    page.get_by_role("button", name="Save").click()
    run_python(home, "-m", "server.operations.cli", "judge", "--quiet")
    page.reload()
    opened = page.get_by_role("region", name="Open alerts")
    expect(opened).to_contain_text("has not been connected since")
    expect(opened).to_contain_text("Marta Lindqvist")
    expect(opened).to_contain_text("Nobody is looking after it yet.")
    page.get_by_text("More").click()
    looked_at(page, f"page-{scheme}")
    page.get_by_label("Don't remind me for").select_option("1 hour")
    page.get_by_role("button", name="Snooze").click()
    expect(opened).to_contain_text("Snoozed until")
    page.get_by_role("button", name="I'm looking after it").click()
    expect(opened).to_contain_text("You have been looking after it since")
    looked_at(page, f"held-{scheme}")
    page.get_by_role("link", name="Edit notifications").click()
    looked_at(page, f"ways-{scheme}")
    context.close()
