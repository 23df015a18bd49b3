"""Every page in every state, looked at by axe and for what does not fit; pictures are kept.

In ./check each state is looked at once: in one language, at one width, size of text and in one
colour. With `--all`, each is looked at in both languages and in every way.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.home import CHROMIUM, Home, browsing, run_python, serving
from tests.e2e.states.catalogue import STATES, State, log_in, names, press
from tests.e2e.states.looks import (
    DESK,
    EVERY_LOOK,
    NARROW,
    NARROW_LOOKS,
    PHONE,
    Look,
    look_at,
    turn,
)

pytestmark = [
    pytest.mark.needs_browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]
LANGUAGES = ("en", "de")


@dataclass(frozen=True)
class Furnished:
    """The server, and what `furnished.py` added: ids and codes by name."""

    home: Home
    made: dict[str, Any]

    def address(self, state: State) -> str:
        """Return where the state's page is."""
        return state.at.format(**names(self.home.sessions, self.home.devices), **self.made)


@pytest.fixture(scope="module")
def furnished() -> Iterator[Furnished]:
    with serving(mail=True) as home:
        yield Furnished(home, json.loads(run_python(home, "-m", "tests.e2e.states.furnished")))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


def opened(
    chromium: Browser, furnished: Furnished, who: str, language: str, **options: Any
) -> Page:
    """A page in a language, for somebody who has logged in unless they are nobody."""
    context = chromium.new_context(base_url=furnished.home.url, locale=language, **options)
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto("/login/")
    if who != "nobody":
        log_in(page, furnished.made["leaving"].pop() if who == "leaving" else who)
    if who == "jonas":  # who has a second factor
        page.locator("#id_code").fill(furnished.made["recovery_codes"].pop())
        press("main button[type=submit]")(page)
    page.locator(f"form.languages button[value={language}]").click()
    page.wait_for_load_state()
    assert page.locator("html").get_attribute("lang") == language
    return page


def brought(page: Page, furnished: Furnished, state: State) -> None:
    """Bring a page to that state, with its first part to open opened."""
    page.goto(furnished.address(state))
    if state.act:
        state.act(page)
    page.evaluate("window.stop()")  # nothing is loaded anew while it is looked at
    page.locator("main details").first.evaluate_all("all => all.forEach(e => { e.open = true })")


def wrong_in(
    page: Page, furnished: Furnished, language: str, seen: Sequence[tuple[State, Sequence[Look]]]
) -> list[str]:
    """Return what is wrong in these states."""
    wrong = []
    for state, looks in seen:
        brought(page, furnished, state)
        wrong += look_at(page, f"{state.name}-{language}", looks)
    return wrong


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", ["en", pytest.param("de", marks=pytest.mark.slow)])
@pytest.mark.parametrize("who", STATES)
def test_a_state_is_accessible_and_fits(
    chromium: Browser, furnished: Furnished, who: str, language: str
) -> None:
    """One way to look at each state; in turn, so that all ways are among them."""
    first = LANGUAGES.index(language)
    seen = [
        (state, [EVERY_LOOK[number // 2 % len(EVERY_LOOK)], NARROW_LOOKS[number // 4 % 2]])
        for number, state in enumerate(STATES[who])
        if number % 2 == first or len(STATES[who]) == 1
    ]
    page = opened(chromium, furnished, who, language)
    assert wrong_in(page, furnished, language, seen) == []
    page.context.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    "BLINKLOG_EVERY_LOOK" not in os.environ, reason="an hour; BLINKLOG_EVERY_LOOK=1 runs it"
)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("who", STATES)
def test_a_state_is_accessible_and_fits_in_every_way(
    chromium: Browser, furnished: Furnished, who: str, language: str
) -> None:
    page = opened(chromium, furnished, who, language)
    seen = [(state, [*EVERY_LOOK, *NARROW_LOOKS]) for state in STATES[who]]
    assert wrong_in(page, furnished, language, seen) == []
    page.context.close()


PLACES = {
    "en": ["People", "Sharing", "Devices", "Alerts", "Account"],
    "de": ["Personen", "Freigaben", "Geräte", "Meldungen", "Konto"],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_place_of_the_navigation_can_be_seen_and_reached_without_scripts(
    chromium: Browser, furnished: Furnished, language: str
) -> None:
    page = opened(chromium, furnished, "ines", language, java_script_enabled=False)
    session = page.context.new_cdp_session(page)
    for width, text in product((DESK, PHONE, NARROW), (100, 200)):
        for place in PLACES[language]:
            page.goto("/help/")
            turn(page, session, Look(width, text, "light"))
            menu = page.locator(".menu summary")
            if width != DESK and text == 200:
                expect(menu).to_be_in_viewport(ratio=1)  # the cue
                menu.click()
            link = (
                page.locator("header")
                .get_by_role("link", name=place)
                .and_(page.locator(":visible"))
            )
            expect(link).to_be_in_viewport(ratio=1)
            link.click()
            expect(page.locator("h1")).to_have_text(place)
    page.context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_of_errors_are_accessible_and_fit(
    chromium: Browser, furnished: Furnished, language: str
) -> None:
    page = opened(chromium, furnished, "nobody", language)
    wrong = []
    for number, (name, html) in enumerate(furnished.made["errors"][language].items()):
        page.unroute_all()
        page.route("**/error/", lambda route, html=html: route.fulfill(body=html))
        page.goto("/error/")
        assert page.locator("h1").count() == 1, name
        looks = [EVERY_LOOK[number % len(EVERY_LOOK)], *NARROW_LOOKS]
        wrong += look_at(page, f"error {name}-{language}", looks)
    assert wrong == []
    page.context.close()
