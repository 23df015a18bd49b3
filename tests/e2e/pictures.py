"""The pictures of pages in docs/, over seeded months:  python -m tests.e2e.pictures"""

from collections.abc import Callable
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize

from tests.e2e.home import ROOT, Home, browsing, serving
from tests.e2e.states.catalogue import log_in
from tests.e2e.states.views import send_view

DOCS = ROOT / "docs"
DESK: ViewportSize = {"width": 1280, "height": 1060}
PHONE: ViewportSize = {"width": 390, "height": 844}
Act = Callable[[Page], None]


def picture(
    browser: Browser,
    home: Home,
    where: str,
    name: str,
    size: ViewportSize,
    scheme: Literal["light", "dark"] = "light",
    who: str = "ines",
    act: Act | None = None,
) -> None:
    """One page, as large as a screen of that size shows of it."""
    context = browser.new_context(
        base_url=home.url,
        viewport=size,
        color_scheme=scheme,
        device_scale_factor=1 if size["width"] > 1000 else 2,
        locale="en-GB",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto("/login/")
    log_in(page, who)
    page.get_by_role("heading", name="People").wait_for()
    page.goto(where)
    if act:
        act(page)
    page.screenshot(path=DOCS / name)
    context.close()


def make_a_code(page: Page) -> None:
    """Name a device, and create its code."""
    page.get_by_label("Device name").fill("Kitchen")
    page.get_by_role("button", name="Create code").click()
    page.get_by_role("img", name="QR code for the device").wait_for()


def aimed(home: Home) -> Act:
    """Let Marta's device send what it sees."""

    def act(page: Page) -> None:
        says = page.locator("#aim-says")
        for _ in range(40):  # a view is shown for three seconds
            send_view(home, "marta")
            page.wait_for_timeout(500)
            if "Good" in says.inner_text():
                break

    return act


def limit(page: Page) -> None:
    """Choose a fixed limit."""
    page.get_by_label("Below a fixed limit").check()
    page.get_by_label("Fixed limit, in blinks a minute").fill("8")


def main() -> None:
    """Make them all."""
    with serving() as home, browsing() as browser:
        session, device = f"/sessions/{home.sessions['marta'][-2]}/", home.devices["marta"]
        picture(browser, home, "/people/marta/", "dashboard.png", DESK)
        picture(browser, home, "/devices/", "add-device.png", DESK, act=make_a_code)
        picture(browser, home, session, "dashboard-phone.png", PHONE, "dark")
        aim = f"/devices/{device}/aim/?asked=1"
        picture(browser, home, aim, "aim.png", PHONE, who="marta", act=aimed(home))
        picture(browser, home, f"/devices/{device}/check/", "check.png", PHONE, who="marta")
        where = f"/devices/{device}/reminding/"
        picture(browser, home, where, "remind.png", PHONE, who="marta", act=limit)


if __name__ == "__main__":
    main()
