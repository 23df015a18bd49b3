"""Notes in a real browser: with and without scripts, marks in charts, before and after."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

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
PHONE, DESKTOP = (390, 844), (1280, 900)
# Many shared notes, more than the page for the doctor has room for.
MANY = """
import django; django.setup()
from datetime import timedelta
from django.utils import timezone
from server.care.models import Person
from server.notes import write
from server.notes.models import Kind
marta = Person.objects.get(username="marta")
for n in range(24):
    at = timezone.now() - timedelta(days=n, hours=1)
    kind, text = Kind.values[n % 4], f"{n}: " + "twenty characters x " * 9
    write.add(marta, marta, None, {"kind": kind, "text": text, "at": at, "shared": True})
"""


@pytest.fixture
def home() -> Iterator[Home]:
    with serving() as home:
        yield home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


def opened(
    chromium: Browser, home: Home, who: str, size: tuple[int, int], **options: object
) -> Page:
    """A page for somebody who has logged in."""
    viewport = {"width": size[0], "height": size[1]}
    context = chromium.new_context(
        base_url=home.url,
        viewport=viewport,
        locale="en-GB",
        **options,  # type: ignore[arg-type]
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto("/login/")
    page.locator("#id_username").fill(who)
    page.locator("#id_password").fill(seed.PASSWORD)
    page.locator("main button[type=submit]").click()
    return page


def looked_at(page: Page, name: str) -> None:
    """Axe finds nothing, nothing is wider than the page, and a picture is kept."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"notes-{name}.png", full_page=True)


def days_ago(days: int) -> str:
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT08:00}"


@pytest.mark.parametrize(
    ("size", "name"),
    [(PHONE, "phone"), pytest.param(DESKTOP, "desktop", marks=pytest.mark.slow)],
)
def test_a_note_is_written_and_is_a_mark_that_the_pointer_and_the_keys_read(
    home: Home, chromium: Browser, size: tuple[int, int], name: str
) -> None:
    page = opened(chromium, home, "marta", size, color_scheme="dark" if size == PHONE else "light")
    page.goto("/people/marta/")
    page.get_by_text("Add a note").click()
    looked_at(page, f"form-{name}")
    page.get_by_label("Kind").select_option("drops")
    page.get_by_label("When").fill(days_ago(10))
    page.get_by_label("Text").fill("left eye")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator(".rows.notes")).to_contain_text("Eye drops: left eye")
    looked_at(page, f"list-{name}")
    page.goto("/people/marta/")
    expect(page.locator(".chart .sign")).to_have_count(5)
    looked_at(page, f"person-{name}")
    chart = page.locator("#chart-blink_rate_per_min")
    chart.locator(".points .sign .symbol").hover()
    expect(chart.locator(".chart-says")).to_contain_text("Eye drops, left eye")
    chart.focus()
    page.keyboard.press("Home")
    said = set()
    for _ in range(200):
        said.add(chart.locator(".chart-says").text_content())
        page.keyboard.press("ArrowRight")
    assert any("Eye drops, left eye" in (text or "") for text in said)
    page.locator(".rows.notes").get_by_role("link", name="Before and after").first.click()
    expect(page.locator(".before-after tbody")).to_have_count(5)
    expect(page.locator("main")).to_contain_text("A difference is no proof of a cause.")
    looked_at(page, f"before-after-{name}")


def test_without_scripts_a_note_is_written_kept_after_an_error_and_deleted(
    home: Home, chromium: Browser
) -> None:
    page = opened(chromium, home, "marta", PHONE, java_script_enabled=False)
    page.goto("/people/marta/")
    page.get_by_text("Add a note").click()
    page.get_by_label("When").fill("2199-01-01T08:00")
    page.get_by_label("Text").fill("some words")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator("#form-errors")).to_contain_text("Enter a time that has passed")
    expect(page.get_by_label("Text")).to_have_value("some words")
    page.get_by_label("When").fill(days_ago(3))
    page.get_by_role("button", name="Save note").click()
    page.goto("/people/marta/")
    expect(page.locator(".rows.notes")).to_contain_text("some words")
    expect(page.locator(".chart .sign")).to_have_count(5)
    page.get_by_role("link", name=re.compile(r"^Delete ?: Medicine")).click()
    page.get_by_role("button", name="Delete permanently").click()
    expect(page.locator("main")).to_contain_text("No notes yet.")


def test_a_caregiver_writes_on_a_session_and_the_person_reads_who_it_was(
    home: Home, chromium: Browser
) -> None:
    address = f"/sessions/{home.sessions['marta'][0]}/"
    page = opened(chromium, home, "ines", PHONE)
    page.goto(address)
    page.get_by_role("link", name="Add a note").click()
    looked_at(page, "on-session")
    page.get_by_label("Kind").select_option("text")
    page.get_by_label("Text").fill("Very tired")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator(".rows.notes")).to_contain_text("Very tired")
    looked_at(page, "session")
    own = opened(chromium, home, "marta", PHONE)
    own.goto(address)
    expect(own.locator(".rows.notes")).to_contain_text("Very tired")
    expect(own.locator(".rows.notes")).to_contain_text("by Ines")


SIZES = "all => all.map(each => parseFloat(getComputedStyle(each).fontSize) * 0.75)"


def test_the_page_for_the_doctor_is_one_sheet_with_as_many_notes_as_there_are(
    home: Home, chromium: Browser
) -> None:
    run_python(home, "-c", MANY)
    page = opened(chromium, home, "marta", DESKTOP)
    for language in ("en", "de"):
        page.locator(f"form.languages button[value={language}]").click()
        page.goto("/people/marta/sheet/?days=30")
        looked_at(page, f"sheet-{language}")
        page.emulate_media(media="print")
        sizes = page.locator(".paper :is(p, li, dd, dt):not(.chart *)").evaluate_all(SIZES)
        assert min(sizes) >= 9.5, "points on paper"
        sheet = page.pdf(prefer_css_page_size=True, path=ARTEFACTS / f"notes-sheet-{language}.pdf")
        page.emulate_media(media="screen")
        assert len(re.findall(rb"/Type\s*/Page\b", sheet)) == 1
