"""What people with an account, their devices and administrators can try.

Anna is measured; who the others are is said in target.py.
"""

import csv
import io
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.attack.target import PASSWORD, SITE, Attack, Browser, Target, document

HISTORY = "/api/session/history/?user=anna"
EVER = "2020-01-01T00:00:00Z"
CHANGES = f"{HISTORY}&updated_since="
FORMULA = tuple("=+-@")


def stored(target: Target, name: str = "final", **changes: Any) -> str:
    """Have Anna's device store a session; return its id."""
    body = document(name, session_id=str(uuid.uuid4())) | changes
    answer = target.ask("PUT", f"/api/session/{body['session_id']}/", target.device, json=body)
    assert answer.status_code in (200, 201), answer.text
    return str(body["session_id"])


def others_sessions_in_a_batch(target: Target) -> str | None:
    """Nobody writes somebody else's session in a batch of their own"""
    session_id = stored(target)
    body = [document("final", session_id=session_id, revision=999)]
    for who in ("other device", "otto", "carl"):
        token = target.token_of(who)
        answer = target.ask("POST", "/api/session/batch/", token, json=body)
        if answer.json()["results"][0]["outcome"] != "rejected":
            return f"{who}: {answer.text}"
    shown = target.ask("GET", f"/api/session/{session_id}/", target.token_of("anna")).json()
    return None if shown["revision"] < 999 else "it was changed"


def a_running_session_by_its_cursor(target: Target) -> str | None:
    """Who may see the past alone does not learn from cursors that a session is running"""
    token = target.token_of("hana")
    cursor = target.ask("GET", CHANGES + EVER, token).json()["cursor"]
    before = target.ask("GET", CHANGES + cursor, token).json()
    session_id = stored(target, "started")
    stored(target, "checkpoint", session_id=session_id)
    after = target.ask("GET", CHANGES + cursor, token).json()
    stored(target, "final", session_id=session_id, revision=999)
    return None if before == after else f"{before['cursor']} became {after['cursor']}"


def deletions_of_before(target: Target) -> str | None:
    """Who is let in is not told of sessions that were deleted before"""
    session_id = stored(target)
    browser = Browser(target)
    browser.log_in("anna")
    browser.post(f"/account/data/delete/session/{session_id}/", {"password": PASSWORD})
    target.run("link", "ella", "anna")
    answer = target.ask("GET", CHANGES + EVER, target.token_of("ella"))
    own = target.ask("GET", CHANGES + EVER, target.token_of("anna"))
    assert session_id in own.text, "Anna's own copy is told"
    return "the deletion was told" if session_id in answer.text else None


def access_that_has_ended(target: Target) -> str | None:
    """Ended sharing has ended with the next request, whatever is asked for"""
    session_id, token = stored(target), target.token_of("ella")
    session = f"/api/session/{session_id}/"
    tag = target.ask("GET", session, token).headers["ETag"]
    cursor = target.ask("GET", CHANGES + EVER, token).json()["cursor"]
    paths = [HISTORY, CHANGES + cursor, session, "/api/session/summary/?user=anna"]
    paths += [f"/api/session/export/?user=anna&as={form}" for form in ("csv", "excel", "fhir")]
    target.run("unlink", "ella", "anna")
    for path in paths:
        answer = target.ask("GET", path, token, headers={"If-None-Match": tag})
        if answer.status_code != 404:
            return f"{path}: {answer.status_code}"
    return None


def conditions_as_questions(target: Target) -> str | None:
    """Conditions on ETags say nothing of sessions that one may not see"""
    real, made_up = stored(target), str(uuid.uuid4())
    for who in ("otto", "other device", "irma"):
        token = target.token_of(who)
        for name in ("If-Match", "If-None-Match"):
            for method in ("PUT", "PATCH"):
                answers = [
                    target.ask(method, f"/api/session/{each}/", token, headers={name: "*"}, json={})
                    for each in (real, made_up)
                ]
                told = {(each.status_code, each.json()["code"]) for each in answers}
                if len(told) > 1:
                    return f"{who}, {method} {name}: {told}"
    return None


def formulas_in_files(target: Target) -> str | None:
    """No cell of an exported file is a formula; the device is called =1+1"""
    stored(target, quality=["=cmd|' /C calc'!A0", "+1", "@SUM(1)"])
    for form, separator in (("csv", ","), ("excel&decimal=comma", ";")):
        path = f"/api/session/export/?user=anna&as={form}"
        text = target.ask("GET", path, target.token_of("carl")).content.decode("utf-8-sig")
        assert "1+1" in text
        for row in csv.reader(io.StringIO(text), delimiter=separator):
            for cell in row:
                if cell.startswith(FORMULA) and not re.fullmatch(r"-?[\d.,]+", cell):
                    return f"{form}: {cell}"
    return None


def a_read_only_token(target: Target) -> str | None:
    """A token that may only read changes nothing, in a batch neither"""
    body = {"username": "carl", "password": PASSWORD, "scope": "read"}
    token = target.ask("POST", "/api/auth/token/", json=body).json()["token"]
    for method, path, sent in (
        ("POST", "/api/session/start/", {}),
        ("POST", "/api/session/batch/", [document("final")]),
        ("POST", "/api/device/claim-codes/", {"label": "x"}),
        ("POST", "/api/invitations/", {"permissions": ["history"]}),
    ):
        answer = target.ask(method, path, token, json=sent)
        if answer.status_code != 403:
            return f"{path}: {answer.status_code}"
    return None


def an_admins_credentials(target: Target) -> str | None:
    """An administrator who renews a member's credentials does not read the member's own rate"""
    now = datetime.now(UTC).replace(microsecond=0)
    minutes = [{"minute": n, "valid_s": 58.0, "blinks": 14} for n in range(45)]
    for days in range(1, 7):
        begun = now - timedelta(days=days)
        times = {"started_at": begun, "ended_at": begun + timedelta(minutes=45)}
        stored(target, minutes=minutes, **{name: f"{at:%FT%TZ}" for name, at in times.items()})
    browser = Browser(target)
    browser.log_in("anna")
    browser.post(f"/devices/{target.device_id}/reminding/", {"mode": "own"})
    own = target.ask("GET", "/api/device/settings/", target.device).json()["reminding"]
    assert own, "her own device is told"
    irma = target.token_of("irma")
    new = target.ask("POST", f"/api/device/{target.device_id}/rotate/", irma).json()["token"]
    told = target.ask("GET", "/api/device/settings/", new).json()["reminding"]
    return f"it is {told['below_per_min']}" if told else None


def somebody_elses_code(target: Target) -> str | None:
    """The text of a device's code is shown to the browser that made it alone"""
    browser = Browser(target)
    browser.log_in("anna")
    page = browser.post("/devices/", {"label": "Attic"}).headers["Location"]
    found = re.search(r"[A-Z2-9]{4}-[A-Z2-9]{4}", browser.get(page).text)
    assert found
    for name in ("anna", "carl", "irma", "zoe"):
        other = Browser(target)
        other.log_in(name)
        if found[0] in other.get(page).text:
            return f"{name} sees it"
    return None


def a_check_of_another_asker(target: Target) -> str | None:
    """The id of a check is told to its asker alone"""
    target.ask("GET", "/api/device/commands/", target.device)  # it is there
    ids = []
    for name in ("anna", "carl"):
        browser = Browser(target)
        browser.log_in(name)
        answer = browser.post(f"/devices/{target.device_id}/check/", {})
        ids.append(answer.headers["Location"].partition("asked=")[2])
    assert ids[0]
    return "the second one was told the first one's" if ids[0] == ids[1] else None


def views_that_are_none(target: Target) -> str | None:
    """What a device says while it is aimed is numbers, for those who may see it live"""
    good = {"advice": "good", "blinks": 1, "outline": [], "lids": []}
    path = "/api/device/aim/"
    for bad in (
        {"advice": "<script>"},
        {"found": "<b>1</b>"},
        {"outline": [["<b>", 1]]},
        {"outline": {"x": 1}},
        {"blinks": 10**30},
        {"fps": 1e300},
        {"lids": [[[0, 0]] * 1000]},
    ):
        if target.ask("POST", path, target.device, json=good | bad).status_code != 400:
            return f"{bad} was kept"
    assert target.ask("POST", path, target.device, json=good).status_code == 204
    for name in ("hana", "irma", "otto"):
        if target.ask("POST", path, target.token_of(name), json=good).status_code != 403:
            return f"{name} sends one"
        browser = Browser(target)
        browser.log_in(name)
        for page in ("", "view/"):
            if browser.get(f"/devices/{target.device_id}/aim/{page}").status_code != 404:
                return f"{name} sees it"
    return None


def a_shorter_retention(target: Target) -> str | None:
    """An unattended browser shortens no retention time and deletes nothing"""
    stored(target)
    browser = Browser(target)
    browser.log_in("anna")
    browser.post("/account/data/", {"days": "7"})
    for path in (
        "/account/data/shorten/?days=7",
        "/account/data/delete/?first=2020-01-01&last=2198-01-01",
        "/account/data/delete/account/",
    ):
        for form in ({}, {"password": "wrong"}, {"password": ""}):
            if browser.post(path, form).status_code != 400 and form:
                return f"{path}: it was done"
    taken_back = browser.post("/account/data/keep/", {}, page="/account/data/")
    assert taken_back.status_code == 302
    return "it waits" if "The change was cancelled" in browser.get("/account/data/").text else None


def links_in_mails(target: Target) -> list[str]:
    """Return the links in all e-mails that were sent, oldest first."""
    files = sorted(target.mails.glob("*"), key=lambda path: path.stat().st_mtime_ns)
    text = "".join(path.read_text() for path in files).replace("=\n", "").replace("=3D", "=")
    return re.findall(r"https?://\S+", text)


def mails_to_strangers(target: Target) -> str | None:
    """Nobody has the server send strangers more than a few e-mails"""
    browser = Browser(target, "192.0.2.50")
    browser.log_in("zoe")
    for number in range(12):
        browser.post("/alerts/ways/", {"email": f"stranger{number}@example.org"})
    sent = len(links_in_mails(target))
    assert sent, "the first one is sent"
    return f"{sent} were sent" if sent > 5 else None


def an_unattended_browser(target: Target) -> str | None:
    """Who finds a browser logged in can't have the password replaced by an e-mail address"""
    browser = Browser(target, "192.0.2.51")
    browser.log_in("hana")
    browser.post("/alerts/ways/", {"email": "thief@example.org"})
    link = links_in_mails(target)[-1].removeprefix(SITE)
    browser.get(link)
    for form in ({}, {"password": "wrong"}):
        browser.post(link, form)
    Browser(target, "192.0.2.52").post("/login/forgotten/", {"name": "hana"})
    return "a link was sent" if _waits_for_a_reset(target) else None


def a_password_by_the_host(target: Target) -> str | None:
    """A link for a new password leads to the server, whatever host the request names"""
    browser = Browser(target, "192.0.2.53")
    browser.log_in("carl")
    browser.post("/alerts/ways/", {"email": "carl@example.org"})
    link = links_in_mails(target)[-1].removeprefix(SITE)
    assert browser.post(link, {"password": PASSWORD}).status_code == 302
    stranger = Browser(target, "192.0.2.54")
    for number, host in enumerate(("localhost:31337", "127.0.0.1:31337", "evil.example")):
        headers = {"Host": host, "X-Forwarded-Host": "evil.example", "Referer": f"http://{host}/"}
        name = ("carl", "CARL", "carl@example.org")[number]
        stranger.post("/login/forgotten/", {"name": name}, **headers)
    assert _waits_for_a_reset(target), "the first link is sent"
    others = [each for each in links_in_mails(target) if not each.startswith(f"{SITE}/")]
    return f"a link leads to {others[0]}" if others else None


def _waits_for_a_reset(target: Target) -> bool:
    """Return whether a link for a new password is sent: it is sent beside the answer."""
    return target.soon(lambda: any("/login/reset/" in each for each in links_in_mails(target)))


INSIDERS: tuple[Attack, ...] = (
    others_sessions_in_a_batch,
    a_running_session_by_its_cursor,
    deletions_of_before,
    access_that_has_ended,
    conditions_as_questions,
    formulas_in_files,
    a_read_only_token,
    an_admins_credentials,
    somebody_elses_code,
    a_check_of_another_asker,
    views_that_are_none,
    a_shorter_retention,
    mails_to_strangers,
    an_unattended_browser,
    a_password_by_the_host,
)
