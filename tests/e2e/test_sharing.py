"""The ways of sharing in a real browser: invite, accept, look, end; a second factor; a device.

The pages are watched as those of test_dashboard.py are: no other host, a silent console.
"""

import json
import re
from base64 import b32decode
from urllib.request import Request, urlopen

import pytest
from django_otp.oath import TOTP
from playwright.sync_api import expect

from tests.e2e import seed
from tests.e2e.home import CHROMIUM, Home
from tests.e2e.states import looks
from tests.e2e.states.looks import Look, look_at
from tests.e2e.test_dashboard import (  # noqa: F401 fixtures
    DESKTOP,
    PHONE,
    Open,
    chromium,
    home,
    keep,
    log_in,
    open_page,
)

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

LOOKS = [Look(looks.DESK, 100, "light"), Look(looks.PHONE, 100, "dark")]


def test_inviting_accepting_looking_and_ending(open_page: Open) -> None:  # noqa: F811
    marta, tom = log_in(open_page(PHONE), "marta"), log_in(open_page(), "tom")
    marta.goto("/sharing/")
    expect(marta.get_by_role("heading", name="Ines Baumann")).to_be_visible()
    marta.get_by_label("Who is it for?").fill("Tom from next door")
    form = marta.get_by_role("region", name="Invite someone")
    form.get_by_label("See running sessions").uncheck()
    marta.get_by_role("button", name="Create invitation").click()
    code = marta.get_by_label("Code", exact=True).locator(".code").first.inner_text()
    keep(marta, "invitation")

    tom.goto("/sharing/")
    tom.get_by_role("link", name="I have a code").click()
    tom.get_by_label("Code").fill(code.lower())
    tom.get_by_role("button", name="Continue").click()
    expect(tom.get_by_role("heading", level=1)).to_have_text("Marta Lindqvist invites you")
    tom.get_by_role("button", name="Accept as Tom Novak").click()
    expect(tom.locator(".notices")).to_contain_text("Marta Lindqvist now shares with you: History.")
    tom.get_by_role("link", name="Marta Lindqvist").click()
    expect(tom.get_by_role("heading", level=1)).to_have_text("Marta Lindqvist")

    marta.goto("/sharing/looks/")
    expect(marta.get_by_role("row").filter(has_text="Tom Novak").first).to_be_visible()
    marta.goto("/sharing/")
    marta.get_by_role("link", name="End sharing with Tom Novak").click()
    marta.get_by_role("button", name="End sharing").click()
    expect(marta.locator(".notices")).to_contain_text("Tom Novak can no longer see your data.")
    tom.reload()
    expect(tom.get_by_role("heading", level=1)).to_have_text("Page not found")


def test_asking_agreeing_to_less_and_seeing(open_page: Open) -> None:  # noqa: F811
    ines, marie = log_in(open_page()), log_in(open_page(), "marie")
    ines.goto("/sharing/")
    ines.get_by_role("link", name="Ask for access").click()
    ines.get_by_label("Name of the person").fill("Marie")
    ines.get_by_label("Message (optional)").fill("I look after you on weekends.")
    ines.get_by_role("button", name="Send request").click()
    expect(ines.locator(".notices")).to_contain_text("If a member of Haus am See has this name")
    assert look_at(ines, "asked", LOOKS) == []
    assert ines.goto("/people/marie/").status == 404  # type: ignore[union-attr]

    marie.goto("/sharing/")
    card = marie.get_by_role("region", name="Ines Baumann asks for access")
    expect(card).to_contain_text("I look after you on weekends.")
    assert look_at(marie, "asked-for-access", LOOKS) == []
    card.get_by_label("See running sessions").uncheck()
    card.get_by_role("button", name="Agree").click()
    expect(marie.locator(".notices")).to_contain_text("You now share with Ines Baumann: History.")
    ines.goto("/people/marie/")
    expect(ines.get_by_role("heading", level=1)).to_have_text("Marie")


def shown_now(secret: str) -> str:
    """What an authenticator with that key shows; the one before counts for a moment too."""
    padded = secret.replace(" ", "")
    return f"{TOTP(b32decode(padded + '=' * (-len(padded) % 8))).token():06d}"


def test_a_second_factor_by_keyboard_and_with_what_the_page_shows(
    open_page: Open,  # noqa: F811
) -> None:
    page = log_in(open_page(), "jonas")
    page.goto("/account/second-factor/")
    expect(page.get_by_role("img", name="QR code for the authenticator")).to_be_visible()
    keep(page, "second-factor")
    page.get_by_text("Can't scan the code?").click()
    secret = page.locator("details .code").inner_text()
    page.get_by_label("Your password").fill(seed.PASSWORD)
    page.get_by_role("textbox", name="Code from the app").fill(shown_now(secret))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    recovery = page.locator("li.code").first.inner_text()
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_text("10 recovery codes are left")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Name").fill("jonas")
    page.get_by_label("Password").fill(seed.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Enter your code")
    expect(page.get_by_label("Code")).to_be_focused()
    page.get_by_label("Code").fill(recovery)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("People")


def test_a_device_comes_by_a_code_and_is_shut_out(home: Home, open_page: Open) -> None:  # noqa: F811
    page = log_in(open_page(PHONE), "tom")
    page.goto("/devices/")
    page.get_by_label("Device name").fill("Kitchen")
    page.get_by_role("button", name="Create code").click()
    code = page.get_by_label("With a terminal").locator("span.code").inner_text()
    page.reload()
    expect(page.get_by_text(code).first).to_be_visible()
    expect(page.get_by_role("img", name="QR code for the device")).to_be_visible()
    keep(page, "device-code")
    body = json.dumps({"code": code, "agent_version": "0.1.0"}).encode()
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"{home.url}/api/device/claim/", body, headers), timeout=20) as answer:
        token = json.load(answer)["token"]
    assert token.startswith("bld_")
    expect(page.get_by_text("Kitchen was added")).to_be_visible(timeout=15_000)  # by itself
    keep(page, "device-arrived")
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Kitchen").click()
    expect(page.get_by_text("0.1.0", exact=True)).to_be_visible()
    keep(page, "device")
    page.get_by_role("link", name="Block this device").click()
    page.get_by_role("button", name="Block this device").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("blocked")


def test_the_german_pages_are_german(open_page: Open) -> None:  # noqa: F811
    page = open_page(locale="de-DE")
    page.goto("/login/")
    page.get_by_label("Name").fill("amal")  # whose first log-in sets her language
    page.get_by_label("Passwort").fill(seed.PASSWORD)
    page.get_by_role("button", name="Anmelden").click()
    page.goto("/sharing/")
    expect(
        page.get_by_role("heading", level=2, name=re.compile("Wer Sie sehen kann"))
    ).to_be_visible()
