"""The pictures of pages in docs/, over seeded months:  python -m tests.e2e.pictures"""

from playwright.sync_api import Browser

from tests.e2e import seed
from tests.e2e.home import ROOT, Home, browsing, serving

DOCS = ROOT / "docs"


def picture(
    browser: Browser, home: Home, address: str, name: str, size: tuple[int, int], scheme: str
) -> None:
    """One page, as large as a screen of that size shows of it."""
    width, height = size
    context = browser.new_context(
        base_url=home.url,
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=1 if width > 1000 else 2,
        locale="en-GB",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("Name").fill("ines")
    page.get_by_label("Password").fill(seed.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="People").wait_for()
    page.goto(address)
    if address == "/devices/":  # the page of a new code
        page.get_by_label("Device name").fill("Kitchen")
        page.get_by_role("button", name="Create code").click()
        page.get_by_role("img", name="QR code for the device").wait_for()
    page.screenshot(path=DOCS / name)
    context.close()


def main() -> None:
    """Make them all."""
    with serving() as home, browsing() as browser:
        session = f"/sessions/{home.sessions['marta'][-2]}/"
        picture(browser, home, "/people/marta/", "dashboard.png", (1280, 1060), "light")
        picture(browser, home, "/devices/", "add-device.png", (1280, 1080), "light")
        picture(browser, home, session, "dashboard-phone.png", (390, 844), "dark")


if __name__ == "__main__":
    main()
