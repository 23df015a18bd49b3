"""Every page in every state that a person can bring it to: whose it is, where, and what is pressed.

`{name}` in an address is an id or code of `seed.py` or `furnished.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.e2e import seed

Act = Callable[[Page], None]


@dataclass(frozen=True)
class State:
    """A state of a page. `act` is done on the page at `at`."""

    name: str
    at: str
    act: Act | None = None


def press(selector: str = "main form:last-of-type button") -> Act:
    """Press a button. Forms are sent even if the browser would complain."""

    def act(page: Page) -> None:
        page.locator("form").evaluate_all("all => all.forEach(each => { each.noValidate = true })")
        page.locator(selector).last.click()
        page.wait_for_load_state()

    return act


def fill(values: Mapping[str, str], selector: str = "main button[type=submit]") -> Act:
    """Fill in fields by their names, and press a button."""

    def act(page: Page) -> None:
        page.locator("main details").evaluate_all("all => all.forEach(e => { e.open = true })")
        for name, value in values.items():
            page.locator(f"main [name={name}]").first.fill(value)
        press(selector)(page)

    return act


def in_turn(*acts: Act) -> Act:
    """Do one after the other."""

    def act(page: Page) -> None:
        for each in acts:
            each(page)

    return act


def enter(code: str) -> Act:
    """Enter a code of an invitation or an account, on the page for it."""
    return fill({"code": code})


def logged_out_meanwhile(page: Page) -> None:
    """Fill in a form whose session expires before it is sent, and log in again."""
    page.locator("[name=name]").fill("Anna, the neighbour from the ground floor")
    page.context.clear_cookies(name="blinklog_session")
    press("main form.fields button[type=submit]")(page)
    log_in(page, "marta")


def logged_out_over_a_note(page: Page) -> None:
    """Fill in a note, with a long label, whose session expires before it is sent; log in again."""
    page.locator("[name=kind]").select_option("medicine")
    page.locator("[name=text]").fill("Ibuprofen 400, after breakfast")
    page.locator("[name=shared]").check()
    page.context.clear_cookies(name="blinklog_session")
    press("main form.fields button[type=submit]")(page)
    log_in(page, "marta")


def log_in(page: Page, username: str) -> None:
    """Fill in the form of the log-in."""
    page.locator("#id_username").fill(username)
    page.locator("#id_password").fill(seed.PASSWORD)
    press("main button[type=submit]")(page)


PASSWORD = {"password": seed.PASSWORD}
WRONG = {"password": "not my password"}
THROUGH = "main button[type=submit]"
ASK = "main form.fields button[type=submit]"

NOBODY = [
    State("log in", "/login/"),
    State("log in, wrong", "/login/", fill({"username": "nobody", "password": "wrong"})),
    State("forgotten", "/login/forgotten/"),
    State("forgotten, sent", "/login/forgotten/", fill({"name": "nobody"})),
    State("reset, expired", "/login/reset/1/abc/"),
    State("code", "/join/"),
    State("code, wrong", "/join/", enter("AAAA-AAAA-AAAA")),
    State("invited", "/join/{invitation}/", press(THROUGH)),
    State("account to activate", "/join/{activation}/", press(THROUGH)),
    State("sign up", "/sign-up/"),
    State("sign up, wrong", "/sign-up/", press(THROUGH)),
    State("help", "/help/"),
    State("no such page", "/nothing/here/"),
    State("no connection", "/offline/"),
    State("alert by a link", "/alerts/link/{alert_link}/"),
]
INES = [
    State("people", "/"),
    State("menu", "/", lambda page: page.locator(".menu").evaluate("menu => { menu.open = true }")),
    State("person", "/people/marta/"),
    State("person, offline", "/people/jonas/?days=7"),
    State("person, live", "/people/amal/?days=90"),
    State("person, nothing yet", "/people/ines/"),
    State("person, one day", "/people/marta/?days=30&all=1"),
    State("asked in vain", "/people/marta/", press("#now form button")),
    State("session", "/sessions/{marta_last}/"),
    State("session, live", "/sessions/{amal_last}/"),
    State("session, short", "/sessions/{jonas_short}/"),
    State("session, date uncertain", "/sessions/{jonas_uncertain}/"),
    State("session, interrupted", "/sessions/{jonas_interrupted}/"),
    State("session, no durations", "/sessions/{jonas_slow}/"),
    State("session, no counts", "/sessions/{jonas_slower}/"),
    State("session, no face", "/sessions/{jonas_faceless}/"),
    State("notes", "/people/marta/notes/"),
    State("note on a session", "/sessions/{marta_last}/notes/"),
    State("note on a session, wrong", "/sessions/{marta_last}/notes/", fill({"at": ""})),
    State("before and after", "/notes/{note}/before-after/"),
    State("page for the doctor", "/people/marta/sheet/"),
    State("export", "/export/?user=jonas"),
    State("export, wrong", "/export/?user=jonas&form=table&from=2020-01-02&to=2020-01-01"),
    State("columns", "/export/definitions/"),
    State("help, logged in", "/help/"),
    State("sharing of a caregiver", "/sharing/"),
    State("ask for access", "/sharing/ask/"),
    State("ask for access, wrong", "/sharing/ask/", fill({"name": ""}, ASK)),
    State("ask for access, sent", "/sharing/ask/", fill({"name": "somebody"}, ASK)),
    State("access log, empty", "/sharing/looks/"),
    State("activity log", "/sharing/log/"),
    State("alerts", "/alerts/"),
    State("alert looked after", "/alerts/", press("[aria-labelledby=open] form:not(.line) button")),
    State("choose a rule", "/alerts/rules/new/"),
    *[
        State(f"rule {kind}", f"/alerts/rules/new/jonas/{kind}/")
        for kind in ("device_silent", "no_session", "long_closures", "blink_rate", "perclos")
    ],
    State(
        "rule, wrong",
        "/alerts/rules/new/jonas/device_silent/",
        fill({"minutes": "1", "webhook_url": "http://127.0.0.1/", "quiet_from": "22:00"}),
    ),
    State("notifications", "/alerts/ways/"),
    State(
        "notifications, wrong", "/alerts/ways/", fill({"email": "ines"}, "main form.fields button")
    ),
    State("account", "/account/"),
    State("password", "/account/password/"),
    State("password, wrong", "/account/password/", press(THROUGH)),
    State("second factor", "/account/second-factor/"),
    State("second factor, wrong", "/account/second-factor/", press(THROUGH)),
    State("devices of others", "/devices/"),
    State("aim the camera of another", "/devices/{jonas_device}/aim/"),
    State("check the counting of another", "/devices/{jonas_device}/check/"),
    State("institution", "/institution/"),
    State("institution, wrong", "/institution/", press(THROUGH)),
    State("institution's log", "/institution/log/"),
    State("member", "/institution/people/marta/"),
    State("member, not activated", "/institution/people/otto/"),
    State("member's code", "/institution/people/otto/", press("main form button")),
    State("device of a member", "/devices/codes/for/marta/"),
    State("code for a member", "/devices/codes/for/marta/", fill({"label": "Parlour"})),
    State("member's device", "/devices/{marta_device}/"),
    State("no such person", "/people/nobody/"),
]
MARTA = [
    State("own page", "/people/marta/"),
    State("own people", "/"),
    State("own session", "/sessions/{marta_last}/"),
    State("session of somebody else", "/sessions/{marta_last}/", press("[name=somebody_else]")),
    State("own notes", "/people/marta/notes/"),
    State("note, wrong", "/people/marta/notes/", fill({"at": ""})),
    State("change a note", "/notes/{note}/"),
    State("delete a note", "/notes/{note}/delete/"),
    State("sharing", "/sharing/"),
    State("invitation", "/sharing/", fill({"name": "Tom"}, "main form.fields button[type=submit]")),
    State("end sharing", "/sharing/", press("main a.button.danger")),
    State("access log", "/sharing/looks/"),
    State("text kept", "/sharing/", logged_out_meanwhile),
    State("a note kept over a log-in", "/people/marta/notes/", logged_out_over_a_note),
    State("devices", "/devices/"),
    State("device", "/devices/{marta_device}/"),
    State(
        "device, not reassigned",
        "/devices/{marta_device}/",
        press("section[aria-labelledby=give] button"),
    ),
    State("device, blocked", "/devices/{blocked}/"),
    State("device, credentials ended", "/devices/{ended}/"),
    State("code of a device", "/devices/", fill({"label": "Kitchen"})),
    State("code of a device, used", "/devices/codes/{code_arrived}/"),
    State("code of a device, device gone", "/devices/codes/{code_gone}/"),
    State("code of a device, expired", "/devices/codes/{code_expired}/"),
    State("renew credentials", "/devices/{ended}/rotate/"),
    State("credentials", "/devices/{ended}/rotate/", press(THROUGH)),
    State("block a device", "/devices/{marta_device}/revoke/"),
    State("reminders", "/devices/{marta_device}/reminding/"),
    State(
        "reminders, wrong",
        "/devices/{marta_device}/reminding/",
        in_turn(lambda page: page.locator("[value=fixed]").check(), press(THROUGH)),
    ),
    State("home assistant", "/devices/{marta_device}/home-assistant/"),
    State("aim the camera", "/devices/{marta_device}/aim/"),
    State("aim, asked", "/devices/{marta_device}/aim/?asked=1"),
    State("aim, asked in vain", "/devices/{marta_device}/aim/", press("main form button")),
    State("check", "/devices/{marta_device}/check/"),
    State("check, asked", "/devices/{marta_device}/check/?asked={check_asked}"),
    State("check, late", "/devices/{marta_device}/check/?asked={check_late}"),
    State("check, done", "/devices/{marta_device}/check/?asked={check_done}"),
    State("check, asked in vain", "/devices/{marta_device}/check/", press("main form button")),
    State("data", "/account/data/"),
    State("shorter retention", "/account/data/shorten/?days=7"),
    State("shorter retention, wrong", "/account/data/shorten/?days=7", fill(WRONG, ".danger")),
    State("delete days", "/account/data/delete/?first=2020-01-01&last=2099-01-01"),
    State("delete days, wrong", "/account/data/delete/?first=2020-01-02&last=2020-01-01"),
    State("delete a session", "/account/data/delete/session/{marta_last}/"),
    State("delete the account", "/account/data/delete/account/"),
    State("own account", "/account/"),
    State("new app", "/account/apps/new/"),
    State("app", "/account/apps/new/", fill({"name": "Scale", **PASSWORD})),
    State("own alerts", "/alerts/"),
    State("own notifications", "/alerts/ways/"),
    State("own activity log", "/sharing/log/"),
]
AMAL = [
    State("retention that waits", "/account/data/shorten/?days=7", fill(PASSWORD, ".danger")),
    State("retention taken back", "/account/data/", press("form[action$='/keep/'] button")),
]
JONAS = [
    State("account with a second factor", "/account/"),
    State("second factor off", "/account/second-factor/off/"),
    State("new recovery codes", "/account/recovery-codes/"),
    State("recovery codes", "/account/recovery-codes/", fill(PASSWORD)),
]
TOM = [
    State("people, alone", "/"),
    State("sharing with nobody", "/sharing/"),
    State("no devices", "/devices/"),
    State("no alerts", "/alerts/"),
    State("no log", "/sharing/looks/"),
    State("no data", "/account/data/"),
    State("own history, empty", "/people/tom/"),
    State("an invitation to accept", "/join/{invitation}/", press(THROUGH)),
]
MARIE = [State("account in UTC", "/")]
LEAVING = [State("account deleted", "/account/data/delete/account/", fill(PASSWORD, ".danger"))]
STATES: Mapping[str, list[State]] = {
    "nobody": NOBODY,
    "ines": INES,
    "marta": MARTA,
    "amal": AMAL,
    "jonas": JONAS,
    "tom": TOM,
    "marie": MARIE,
    "leaving": LEAVING,
}


def names(sessions: Mapping[str, list[str]], devices: Mapping[str, str]) -> dict[str, Any]:
    """Return the ids in the addresses that come from the seed."""
    return {
        "marta_last": sessions["marta"][-1],
        "amal_last": sessions["amal"][-1],
        **{f"{name}_device": device for name, device in devices.items()},
    }
