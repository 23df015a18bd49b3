"""The caregivers' pages in a real browser, against a real server process over seeded months.

Every page opened here is watched: it asks no other host for anything, and its console stays silent.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import seed
from tests.e2e.home import CHROMIUM, ROOT, Home, browsing, device_says, run_python, serving

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

expect.set_options(timeout=15_000)  # a busy machine is no failure

DESKTOP, PHONE = (1280, 900), (390, 844)
ARTEFACTS = ROOT / "test-artefacts"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with serving() as home:
        yield home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


SPEAK = """
import django; django.setup()
from server.care.models import Person
Person.objects.filter(username="ines").update(language="{}")
"""


@pytest.fixture(params=["en", "de"])
def language(request: pytest.FixtureRequest, home: Home) -> Iterator[str]:
    """The language of the caregiver's account: her pages have it from the next log-in."""
    run_python(home, "-c", SPEAK.format(request.param))
    yield request.param
    run_python(home, "-c", SPEAK.format("en"))


Open = Callable[..., Page]


@pytest.fixture
def open_page(home: Home, chromium: Browser) -> Iterator[Open]:
    """Pages that must behave: what they asked for and complained of is looked at afterwards."""
    asked: list[str] = []
    complaints: list[str] = []
    contexts = []

    def opened(size: tuple[int, int] = DESKTOP, **options: Any) -> Page:
        viewport = {"width": size[0], "height": size[1]}
        options = {"locale": "en-GB", "reduced_motion": "reduce"} | options
        context = chromium.new_context(base_url=home.url, viewport=viewport, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    foreign = {url for url in asked if urlsplit(url).netloc != urlsplit(home.url).netloc}
    assert {url for url in foreign if not url.startswith("data:")} == set()
    expected = re.compile(r"status of 404|ERR_FAILED")  # pages that don't exist, lines that are cut
    assert [text for text in complaints if not expected.search(text)] == []


def log_in(page: Page, name: str = "ines", heading: str = "People") -> Page:
    page.goto("/login/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(seed.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    return page


def addresses(home: Home) -> dict[str, str]:
    """Every kind of page."""
    return {
        "people": "/",
        "person": "/people/marta/",
        "week": "/people/jonas/?days=7",
        "nothing yet": "/people/ines/",
        "session": f"/sessions/{home.sessions['marta'][-2]}/",
        "session under way": f"/sessions/{home.sessions['amal'][-1]}/",
        "check": f"/devices/{home.devices['jonas']}/check/",
        "no such page": "/people/nobody/",
    }


# The way of a caregiver


def test_a_caregiver_logs_in_and_looks_from_people_to_a_person_to_a_session(
    open_page: Open,
) -> None:
    page = log_in(open_page())
    cards = page.locator("article h2")
    expect(cards).to_have_count(3)
    expect(cards.first).to_have_text(re.compile("Jonas"))  # his device is offline
    expect(page.get_by_role("article").filter(has_text="Amal")).to_contain_text("live")
    page.get_by_role("link", name="Marta Lindqvist").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Marta Lindqvist")
    expect(page.get_by_role("img", name=re.compile("Blink rate from"))).to_be_visible()
    page.get_by_role("link", name="90 days").click()
    expect(page.get_by_role("link", name="90 days")).to_have_attribute("aria-current", "true")
    page.locator(".history tbody a").nth(1).click()
    expect(page.get_by_role("heading", name="Minute by minute")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Blinks in each minute"))).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto("/people/marta/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_table_beside_each_chart_opens_and_has_every_day(open_page: Open) -> None:
    page = log_in(open_page())
    page.goto("/people/marta/?days=30")
    figures = page.locator("section.sheet", has=page.locator("figure"))
    expect(figures).to_have_count(5)
    for figure in figures.all():
        figure.locator("summary").click()
        expect(figure.get_by_role("table")).to_be_visible()
        expect(figure.locator("tbody tr")).to_have_count(30)


def test_what_is_on_the_page_can_be_taken_home(open_page: Open) -> None:
    page = log_in(open_page())
    page.goto("/people/marta/?days=7")
    files = {}
    for name in ("CSV", "JSON", "FHIR", "Days, CSV"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name, exact=True).click()
        files[name] = Path(download.value.path()).read_text()
    rates = page.locator(".history tbody tr:not(.day-row) td:nth-child(3)").all_inner_texts()
    lines = list(csv.DictReader(files["CSV"].splitlines()))
    assert [f"{float(line['blink_rate_per_min']):.1f}" for line in lines] == rates
    assert [each["id"] for each in json.loads(files["JSON"])["sessions"]] == [
        line["id"] for line in lines
    ]
    kinds = [entry["resource"]["resourceType"] for entry in json.loads(files["FHIR"])["entry"]]
    assert kinds == ["Device"] + ["Observation"] * len(lines)
    page.locator("#table-blink_rate_per_min summary").click()
    days = page.locator("#table-blink_rate_per_min tbody td:nth-child(2)").all_inner_texts()
    told = [line["blink_rate_per_min"] for line in csv.DictReader(files["Days, CSV"].splitlines())]
    assert [f"{float(rate):.1f}" if rate else "no data" for rate in told[::-1]] == days


def test_a_button_says_what_became_of_it(open_page: Open) -> None:
    """There is no broker here: the device can't be asked, and that is what the page says."""
    page = log_in(open_page())
    page.goto("/people/marta/")
    page.get_by_role("button", name=re.compile("Start session")).click()
    expect(page.locator("#now")).to_contain_text("The server can't reach Living room")
    expect(page.get_by_role("heading", level=1)).to_have_text("Marta Lindqvist")
    keep(page, "asked in vain")
    page.goto("/people/jonas/")  # whose device is offline
    expect(page.locator("#now")).to_contain_text("2 unsent sessions")
    expect(page.get_by_role("button", name="Start session")).to_have_count(0)


def test_for_an_outsider_there_is_nothing(home: Home, open_page: Open) -> None:
    page = log_in(open_page(), "tom")
    expect(page.get_by_role("article")).to_have_count(0)
    told = set()
    for address in ("/people/marta/", "/people/nobody/", addresses(home)["session"]):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 404
        told.add(" ".join(page.locator("main").inner_text().split()))
    assert told == {
        "Page not found This page doesn't exist, or you don't have access to it. Go to the overview"
    }


def test_everything_can_be_reached_by_keyboard(open_page: Open) -> None:
    page = open_page()
    page.goto("/")
    expect(page.get_by_label("Name")).to_be_focused()
    for text in ("ines", seed.PASSWORD):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("People")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Jonas Weber")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Jonas Weber")
    table = page.locator("#table-blink_rate_per_min")
    table.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(table.get_by_role("region")).to_be_focused()


# How it looks


def test_the_title_of_a_session_over_midnight_fits_a_phone(home: Home, open_page: Open) -> None:
    page = log_in(open_page(PHONE))
    page.set_viewport_size({"width": 320, "height": 844})
    page.goto(addresses(home)["session"])
    over_midnight = "Donnerstag, 26. November, 23:56 - 00:08"
    page.locator("h1 .span").evaluate("(each, text) => { each.textContent = text }", over_midnight)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_name_of_one_long_word_fits_a_phone(home: Home, open_page: Open) -> None:
    page = log_in(open_page(PHONE))
    for address in ("/", addresses(home)["person"], "/sharing/"):
        page.goto(address)
        page.locator("h1, h2 a, summary, .crumbs, .small-button").evaluate_all(
            "all => all.forEach(each => { each.textContent = 'Maximiliane'.repeat(13) })"
        )
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{address} is {wide} pixels too wide"


def test_a_print_has_the_whole_list_or_says_how_much_of_it(open_page: Open) -> None:
    page = log_in(open_page())
    page.goto("/people/marta/")
    page.emulate_media(media="print")
    count = int(re.findall(r"25 of (\d+) sessions", page.locator(".how-many").text_content())[0])
    rows = page.locator(".history tbody th[scope=row]")
    assert [row.is_visible() for row in rows.all()] == [True] * count
    for gone in (".places", ".now", ".export", ".pages", ".how-many", ".ranges"):
        assert not page.locator(gone).first.is_visible(), gone
    expect(page.locator("#chart-blink_rate_per_min .picture")).to_be_visible()
    page.emulate_media(media="screen")
    page.get_by_role("link", name=re.compile("Show all")).click()
    rows = page.locator(".history tbody th[scope=row]").count()
    expect(page.locator(".how-many")).to_have_text(f"{rows} sessions.")


def test_every_column_of_the_sessions_is_on_a_sheet_of_a4(open_page: Open, language: str) -> None:
    """Between margins of 12 mm, which browsers leave, it is narrower than a window of a tablet."""
    page = open_page()
    page.goto("/login/")
    page.fill("#id_username", "ines")
    page.fill("#id_password", seed.PASSWORD)
    page.locator("main button[type=submit]").click()
    page.goto("/people/jonas/?days=30")
    page.set_viewport_size({"width": 703, "height": 1032})
    page.emulate_media(media="print")
    for name in (".history thead th", ".history tbody td"):
        boxes = [each.bounding_box() for each in page.locator(name).all()]
        assert all(box and box["x"] + box["width"] <= 703 for box in boxes), name
    expect(page.locator(".history thead th")).to_have_count(6)


def test_a_chart_follows_the_light(open_page: Open) -> None:
    page = log_in(open_page(color_scheme="light"))
    page.goto("/people/marta/")
    line = page.locator("#chart-blink_rate_per_min .line")
    colours = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        colours.add(line.evaluate("each => getComputedStyle(each).stroke"))
    assert len(colours) == 2
    assert "none" not in colours


def keep(page: Page, name: str) -> Path:
    """A picture for whoever wants to look at what the tests saw."""
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / f"{name.replace(' ', '-')}.png"
    page.screenshot(path=path, full_page=True)
    return path


# While a session goes on


def test_a_session_under_way_grows_and_ends_on_an_open_page(home: Home, open_page: Open) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    begun = seed.under_way(seed.AMAL, now, minutes=2) | {"revision": 1}
    device_says(home, "amal", begun)
    page = open_page()
    page.clock.install()
    log_in(page)
    page.goto(f"/sessions/{begun['session_id']}/")
    page.locator("#table-minutes summary").click()
    rows = page.locator("#table-minutes tbody tr")
    expect(rows).to_have_count(2)

    grown = seed.under_way(seed.AMAL, now, minutes=3)
    same = {"session_id": begun["session_id"], "started_at": begun["started_at"]}
    device_says(home, "amal", grown | same | {"revision": 2})
    page.clock.run_for(6_000)
    expect(rows).to_have_count(3)
    expect(page.locator("#table-minutes")).to_have_attribute("open", "")

    over = {"state": "ended", "ended_by": "button", "ended_at": f"{now:%Y-%m-%dT%H:%M:%S}Z"}
    device_says(home, "amal", grown | same | over | {"revision": 3})
    page.clock.run_for(6_000)
    expect(page.get_by_role("status")).to_have_text("The session has ended.")
    expect(page.locator("main")).to_contain_text("Stopped with the button.")
    expect(page.locator(".mark-live")).to_have_count(0)


def test_a_lost_connection_is_said_and_then_forgotten(home: Home, open_page: Open) -> None:
    page = open_page()
    page.clock.install()
    log_in(page)
    page.goto(addresses(home)["session under way"])
    page.route("**/live/", lambda route: route.abort())
    page.clock.run_for(6_000)
    expect(page.get_by_role("status")).to_contain_text("Connection lost.")
    expect(page.get_by_role("heading", name="Minute by minute")).to_be_visible()
    page.unroute("**/live/")
    page.clock.run_for(10_500)  # twice the usual wait, less than its patience
    expect(page.get_by_role("status")).to_have_text("")


def test_a_revoked_caregivers_open_page_closes_itself(home: Home, open_page: Open) -> None:
    page = open_page()
    page.clock.install()
    log_in(page)
    page.goto(addresses(home)["session under way"])
    page.context.clear_cookies()  # as good as logged out elsewhere
    page.clock.run_for(6_000)
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_without_scripts_every_page_says_the_same(home: Home, open_page: Open) -> None:
    page = log_in(open_page(java_script_enabled=False))
    for address in addresses(home).values():
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto("/people/marta/")
    link = page.locator("#chart-perclos a:has(circle.dot)").last
    assert re.match("/sessions/", str(link.get_attribute("href")))
    expect(link.locator("title")).to_have_text(re.compile("% of time"))
    page.goto(addresses(home)["session under way"])
    assert '<meta http-equiv="refresh"' in page.content()
    expect(page.get_by_role("img", name=re.compile("Blinks in each minute"))).to_be_visible()
