"""Every refusal of the API has a code for programs, and docs/api.md lists exactly these codes."""

import ast
import inspect
import re

import pytest
from django.test import Client, override_settings
from rest_framework import exceptions

from server.care import second_factor, views
from server.care.attempts import TooManyError
from server.common import problems
from server.session_data import quotas
from tests.server.conftest import PASSWORD, golden
from tests.server.test_rooms import ROOT, modules

# Errors of the API whose code is an argument, with its position.
RAISED = {
    "ValidationError": 1,
    "PermissionDenied": 1,
    "AuthenticationFailed": 1,
    "APIException": 1,
    "Conflict": 1,
    "ErrorDetail": 1,
    "NotFound": 1,
}
# Errors of what a browser sends from a page; the API has no such requests.
PAGES = ("pages", "forms", "admin", "management", "cli", "widgets")
# REST framework's general errors: here each one has a more specific code, or is never raised.
UNUSED = {"error", "authentication_failed"}


def documented():
    """The codes in the table of docs/api.md, by status."""
    text = (ROOT / "docs" / "api.md").read_text()
    table = text.split("| status | `code` |")[1].split("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if "`" in line]
    return {status.strip(): set(re.findall(r"`(\w+)`", codes)) for status, codes in rows}


def codes_in(tree):
    """The codes that the module gives to its errors."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", "")
            given = [each.value for each in node.keywords if each.arg == "code"]
            place = RAISED.get(name, 99)
            for value in [*node.args[place : place + 1], *(given if name in RAISED else [])]:
                if isinstance(value, ast.Constant):
                    yield value.value
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "default_code":
            yield node.value.value


def in_the_code():
    trees = [
        ast.parse(path.read_text())
        for path in modules()
        if not set(PAGES) & {*path.parts, path.stem}
    ]
    return {code for tree in trees for code in codes_in(tree)}


def of_rest_framework():
    classes = [each for _, each in inspect.getmembers(exceptions, inspect.isclass)]
    codes = {getattr(each, "default_code", None) for each in classes} - {None}
    return codes - UNUSED


def test_the_list_has_every_code_and_no_other():
    listed = documented()
    fields = listed.pop("400, for a field")
    found = in_the_code() | of_rest_framework()
    assert set().union(*listed.values()) | (fields & found) == found


def test_no_code_stands_for_two_statuses():
    rows = list(documented().values())
    assert sum(map(len, rows)) == len(set().union(*rows))


# Refusals that had only a sentence


def code(answer):
    return answer.status_code, answer.json()["code"]


def test_what_may_be_read_and_not_written_says_so(api, world):
    document = golden("started")
    api("device")("POST", "/api/session/start/", document)
    path = f"/api/session/{document['session_id']}/"
    assert code(api("anna")("PATCH", path, {})) == (403, "not_the_writer")
    (link,) = api("anna").get("/api/links/").json()["results"]
    body = {"permissions": ["live"]}
    answer = api("carl")("PATCH", f"/api/links/{link['id']}/", body)
    assert code(answer) == (403, "not_the_person")
    assert code(api("anna")("PATCH", f"/api/links/{link['id']}/", {})) == (400, "required")


def test_the_wrong_session_and_the_wrong_body_say_so(api, world):
    document = golden("started")
    path = f"/api/session/{golden('started')['session_id']}/"
    assert code(api("device")("PUT", path, document)) == (400, "wrong_session_id")
    assert code(api("device")("PUT", path, [])) == (400, "not_an_object")
    assert code(api("anna")("POST", "/api/session/start/", {"who": 1})) == (400, "unknown_key")
    assert code(api("anna").get("/api/people/", who="me")) == (400, "unknown_parameter")


def test_what_a_device_can_not_become_says_so(api, world, settings):
    path = f"/api/device/{world.device.pk}/"
    assert code(api("anna")("POST", path + "reassign/", {})) == (400, "code_or_user")
    code_of = api("anna")("POST", "/api/device/claim-codes/", {"label": "x"}).json()["code"]
    answer = api("anna")("POST", path + "reassign/", {"code": code_of})
    assert code(answer) == (400, "already_theirs")
    settings.DEVICES_PER_PERSON = 1
    answer = api("anna")("POST", "/api/device/claim-codes/", {"label": "x"})
    assert code(answer) == (400, "too_many_devices")
    api("anna")("DELETE", path)
    assert code(api("anna")("POST", path + "rotate/")) == (400, "device_blocked")


def test_too_many_wrong_passwords_are_not_too_many_requests(api, world, monkeypatch):
    def many(*_):
        raise TooManyError

    monkeypatch.setattr(views.RateLimitedBackend, "check", many)
    answer = api("nobody")("POST", "/api/auth/token/", {"username": "anna", "password": PASSWORD})
    assert code(answer) == (429, "too_many_attempts")
    assert int(answer["Retry-After"]) > 0


def test_a_missing_and_a_wrong_second_factor_say_so(api, world, monkeypatch):
    monkeypatch.setattr(second_factor, "is_on", lambda person: True)
    monkeypatch.setattr(second_factor, "check", lambda *_: False)
    login = {"username": "anna", "password": PASSWORD}
    answer = api("nobody")("POST", "/api/auth/token/", login)
    assert code(answer) == (401, "second_factor_missing")
    answer = api("nobody")("POST", "/api/auth/token/", login | {"code": "123456"})
    assert code(answer) == (401, "second_factor_wrong")


def test_a_browsers_write_without_its_csrf_token_says_so(world):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.anna)
    answer = browser.post("/api/session/start/", {}, content_type="application/json")
    assert code(answer) == (403, "csrf_failed")


@override_settings(ALLOWED_HOSTS=["blinklog.example"])
def test_a_wrong_host_is_answered_in_the_same_form(world):
    answer = Client().get("/api/people/", headers={"Host": "other.example"})
    assert code(answer) == (400, "bad_request")
    assert answer.json()["type"] == "client_error"
    page = Client().get("/login/", headers={"Host": "other.example"})
    assert (page.status_code, page["Content-Type"]) == (400, "text/html; charset=utf-8")


@pytest.mark.parametrize("error", [problems.DatabaseUnavailable, quotas.DiskFull])
def test_what_passes_says_when_to_try_again(error):
    assert error.wait > 0
