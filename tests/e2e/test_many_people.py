"""A caregiver of very many people: the page of people is dense, and fits the smallest phone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from playwright.sync_api import Browser, expect

from scripts.made_up import Life, session
from tests.e2e import seed
from tests.e2e.home import CHROMIUM, Home, browsing, run_python, serving
from tests.e2e.states.catalogue import log_in
from tests.e2e.states.looks import DESK, NARROW, PROBLEMS, Look, turn

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]
MORE = 35
MOST_PX = 4000
"""For 25 cards and what is above and below them; with the cards of few people it is 5600."""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with serving() as home:
        run_python(home, "-m", "tests.e2e.test_many_people")
        yield home


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_page_of_38_people_is_dense_and_fits_a_small_phone_with_large_text(
    home: Home, chromium: Browser, language: str
) -> None:
    context = chromium.new_context(base_url=home.url, locale=language)
    page = context.new_page()
    page.goto("/login/")
    log_in(page, "ines")
    page.locator(f"form.languages button[value={language}]").click()
    page.wait_for_load_state()
    expect(page.locator(".dense article.person")).to_have_count(25)
    looks = context.new_cdp_session(page)
    turn(page, looks, Look(DESK, 100, "light"))
    assert page.evaluate("document.documentElement.scrollHeight") <= MOST_PX
    for text in (100, 200):
        turn(page, looks, Look(NARROW, text, "light"))
        assert page.evaluate(PROBLEMS) == []
    context.close()


def add_people(now: datetime) -> None:
    """Let Ines see more people: with sessions of yesterday and today, some devices silent."""
    from server.care.models import CareLink, Person
    from server.devices.models import Device
    from server.session_data.accept import Writer, accept_many

    ines, yours = Person.objects.get(username="ines"), []
    for number in range(MORE):
        life = Life(f"p{number:02}", f"Resident {number}", "Hohenstein-Wagner", "Europe/Berlin",
                    13.6, 0.304, 0.017)  # fmt: skip
        person = Person.objects.create_user(
            life.username,
            password=seed.PASSWORD,
            first_name=life.first_name,
            last_name=life.last_name,
            timezone=life.zone,
        )
        CareLink.objects.create(caregiver=ines, person=person)
        device = Device.objects.create(
            person=person, label="Living room", online=bool(number % 9), last_seen_at=now
        )
        random = Random(life.username)
        begun = [now - timedelta(hours=hours) for hours in (26, 24, 1)]
        yours += [(Writer(person, device), session(random, life, at, minutes=5)) for at in begun]
    assert {answer.outcome for answer in accept_many(yours)} == {"stored"}


if __name__ == "__main__":
    import django

    django.setup()
    add_people(datetime.now(UTC))
