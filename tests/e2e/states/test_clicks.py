"""How many clicks the questions take that people come with, counted in a real browser.

A click is one of a link or button after logging in. What is chosen or typed in a form is not one.
"""

import email
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e import seed
from tests.e2e.home import CHROMIUM, Home, browsing, run_python, serving
from tests.e2e.states.catalogue import log_in
from tests.e2e.states.looks import DESK, PHONE

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]
expect.set_options(timeout=15_000)
PERMIT = """
import django; django.setup()
from server.care.models import CareLink
CareLink.objects.filter(caregiver__username="ines").update(may_get_alerts=True)
"""
JUDGE = ("-m", "server.operations.cli", "judge", "--quiet")
MAIL_S = 20


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with serving(mail=True) as home:
        run_python(home, "-c", PERMIT)
        yield home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@dataclass
class Walk:
    """Somebody at a page of that width, whose clicks are counted."""

    page: Page
    width: int
    clicks: int = 0

    def click(self, what: Locator) -> None:
        """Click it, and wait for the next page."""
        self.clicks += 1
        what.click()
        self.page.wait_for_load_state()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def walk(request: pytest.FixtureRequest, home: Home, chromium: Browser) -> Iterator[Walk]:
    """Ines, who has just logged in."""
    context = chromium.new_context(base_url=home.url, locale="en-GB")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.set_viewport_size({"width": request.param, "height": 844})
    page.goto("/login/")
    log_in(page, "ines")
    yield Walk(page, request.param)
    context.close()


def card(walk: Walk, name: str) -> Locator:
    return walk.page.get_by_role("article").filter(has_text=name)


def test_whether_today_is_usual_takes_no_click(walk: Walk) -> None:
    # Just after midnight there is nothing to compare yet, and the pages say that.
    said = re.compile(r"Today is as usual\.|No measurement today yet\.")
    expect(card(walk, "Marta").get_by_text(said).first).to_be_visible()
    walk.page.goto("/people/marta/")
    expect(walk.page.get_by_text(said).first).to_be_in_viewport()
    assert walk.clicks == 0


def test_a_session_of_yesterday_takes_one_click(walk: Walk) -> None:
    line = card(walk, "Jonas").locator("p").filter(has_text="Yesterday:")
    walk.click(line.get_by_role("link").first)
    expect(walk.page.get_by_role("heading", name="Minute by minute")).to_be_visible()
    assert walk.clicks == 1
    walk.page.goto("/people/jonas/")  # from there, too, and it is in view
    again = walk.page.locator(".yesterday").get_by_role("link").first
    expect(again).to_be_in_viewport()
    walk.click(again)
    expect(walk.page.get_by_role("heading", name="Minute by minute")).to_be_visible()
    assert walk.clicks == 2


def test_what_to_do_about_a_silent_device_takes_one_click(walk: Walk) -> None:
    walk.click(card(walk, "Jonas").get_by_role("link", name="What to do"))
    expect(walk.page.get_by_role("heading", name="A device is not connected")).to_be_in_viewport()
    expect(walk.page.get_by_text("Unplug it, wait ten seconds")).to_be_visible()
    assert walk.clicks == 1


def test_a_number_of_a_card_leads_to_its_definition_with_one_click(walk: Walk) -> None:
    walk.click(card(walk, "Marta").get_by_role("link", name="PERCLOS"))
    expect(walk.page.locator("#perclos")).to_be_in_viewport()
    assert walk.clicks == 1


def test_a_rule_that_reaches_a_mailbox_takes_four_clicks(home: Home, walk: Walk) -> None:
    address = f"ines-{walk.width}@example.org"
    walk.click(walk.page.locator("header").get_by_role("link", name="Alerts"))
    walk.click(walk.page.get_by_role("link", name="Add a rule"))
    walk.page.get_by_label("Person").select_option("jonas")
    walk.page.get_by_label("Device not connected").check()
    walk.click(walk.page.get_by_role("button", name="Continue"))
    walk.page.get_by_label("Minutes not connected").fill(str(walk.width // 10))
    walk.page.get_by_label("Notify me by e-mail at").fill(address)
    walk.click(walk.page.get_by_role("button", name="Save"))
    expect(walk.page.get_by_text("Rule saved.")).to_be_visible()
    assert walk.clicks == 4
    link = re.search(r"http://\S+", str(letter(home.mail, address, "confirm").get_payload()))
    assert link is not None
    walk.page.goto(link[0])  # in the mailbox
    walk.page.get_by_label("Password").fill(seed.PASSWORD)
    walk.page.get_by_role("button", name="Confirm").click()
    expect(walk.page.get_by_text("E-mail address confirmed.")).to_be_visible()
    run_python(home, *JUDGE)
    assert "Jonas" in str(letter(home.mail, address, "not been connected")["Subject"])


def test_a_rule_that_reaches_a_phone_takes_four_clicks(walk: Walk) -> None:
    walk.click(walk.page.locator("header").get_by_role("link", name="Alerts"))
    walk.click(walk.page.get_by_role("link", name="Add a rule"))
    walk.page.get_by_label("Person").select_option("amal")
    walk.page.get_by_label("No session by a time of day").check()
    walk.click(walk.page.get_by_role("button", name="Continue"))
    walk.page.get_by_label("No session by").fill({DESK: "11:30", PHONE: "12:30"}[walk.width])
    walk.page.get_by_label("Push to my phone by ntfy").fill("https://ntfy.sh/a-topic-of-ines")
    walk.click(walk.page.get_by_role("button", name="Save"))
    expect(walk.page.get_by_text("also sent by")).to_contain_text("ntfy")
    assert walk.clicks == 4


def test_a_month_is_printed_whole_after_two_clicks(home: Home, walk: Walk) -> None:
    walk.click(card(walk, "Marta").get_by_role("link", name="Marta Lindqvist"))
    walk.click(walk.page.get_by_role("link", name=re.compile("Show all")))
    assert walk.clicks == 2
    walk.page.emulate_media(media="print")
    rows = walk.page.locator(".history tbody tr:not(.day-row)")
    expect(walk.page.locator(".how-many")).to_have_text(f"{rows.count()} sessions.")
    assert rows.count() > 25
    expect(rows.last).to_be_visible()
    days = walk.page.locator(".history .day-row").all_inner_texts()
    assert len(days) > 20
    assert not walk.page.locator(".notices").is_visible()


def letter(folder: Path, address: str, about: str) -> Message:
    """The e-mail to that address about that, once it is there."""
    until = time.monotonic() + MAIL_S
    while time.monotonic() < until:
        for path in sorted(folder.glob("*.log"), reverse=True):
            found = email.message_from_string(path.read_text())
            if address in str(found["To"]) and about in str(found).lower():
                return found
        time.sleep(0.1)
    raise AssertionError(f"no e-mail about {about!r} to {address}")
