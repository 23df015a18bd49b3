"""Look at an open page in every way: width, size of the text, light or dark."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import CDPSession, Page

from tests.e2e.home import ROOT

ARTEFACTS = ROOT / "test-artefacts"
PROBLEMS = (Path(__file__).parent / "looks.js").read_text()
AXE = Axe().axe_script
# Of Chromium's own text, which has 16 pixels at 100 %.
STANDARD_PX, FIXED_PX = 16, 13
# The highest picture that Chromium makes.
HIGHEST_PX = 16_000
DESK, PHONE, NARROW = 1280, 390, 320


@dataclass(frozen=True)
class Look:
    """A way to look at a page: its width in pixels, the text in per cent, and the colours."""

    width: int
    text: int
    scheme: Literal["light", "dark"]

    def __str__(self) -> str:
        return f"{self.width}-{self.text}-{self.scheme}"


EVERY_LOOK = [
    Look(width, text, scheme)
    for width, text, scheme in product((DESK, PHONE), (100, 200), ("light", "dark"))
]
# Narrower than any picture is taken: only whether everything fits.
NARROW_LOOKS = [Look(NARROW, 100, "light"), Look(NARROW, 200, "light")]


def look_at(page: Page, name: str, looks: Sequence[Look]) -> list[str]:
    """Return what is wrong with the open page, and keep a picture of each look."""
    session = page.context.new_cdp_session(page)
    page.evaluate(AXE)
    wrong = []
    for look in looks:
        turn(page, session, look)
        found = page.evaluate(PROBLEMS)
        if look.width != NARROW:
            found += violations(page)
            keep_whole(page, session, look, name)
        wrong += [f"{name}, {look}: {each}" for each in found]
    session.detach()
    return wrong


def turn(page: Page, session: CDPSession, look: Look, height: int | None = None) -> None:
    """Show the page in that way, in a window of that height.

    The text's size is that of the browser's settings, which media queries follow, too. Chromium
    forgets it when the window changes.
    """
    height = height or (900 if look.width == DESK else 844)
    page.set_viewport_size({"width": look.width, "height": height})
    sizes = {"standard": STANDARD_PX * look.text // 100, "fixed": FIXED_PX * look.text // 100}
    session.send("Page.setFontSizes", {"fontSizes": sizes})
    page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")


def keep_whole(page: Page, session: CDPSession, look: Look, name: str) -> None:
    """Keep a picture of the page from top to bottom, where it is not longer than a picture can be.

    A window as high as the page, because a picture of more than the window has text of 100 %.
    """
    height = page.evaluate("document.documentElement.scrollHeight")
    turn(page, session, look, min(height, HIGHEST_PX))
    file = re.sub(r"[^a-z0-9-]+", "-", f"{name}-{look}".lower())
    page.screenshot(path=ARTEFACTS / "states" / f"{file}.png")


def violations(page: Page) -> list[str]:
    """Return what axe finds, whose script is in the page already."""
    told = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in told["violations"]
        for node in rule["nodes"]
    ]
