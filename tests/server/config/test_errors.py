"""What a program is told when a request fails: a type, a code and a sentence, and nothing else."""

import logging

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client, override_settings

from server.devices.fair_share import DeviceThrottle, FairShare
from server.session_data import accept
from tests.server.conftest import PASSWORD, golden

START = "/api/session/start/"
TOKEN = "/api/auth/token/"


def told(answer):
    """The status, type and code of an error. Each has a sentence too."""
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert body["detail"]
    return answer.status_code, body["type"], body["code"]


# What the client did


def test_missing_fields_are_named_in_the_sentence_and_by_key(api):
    answer = api("nobody")("POST", TOKEN, {})
    assert told(answer) == (400, "validation_error", "required")
    required = ["This field is required."]
    assert answer.json() == {
        "type": "validation_error",
        "code": "required",
        "detail": "username: This field is required.; password: This field is required.",
        "errors": {"username": required, "password": required},
    }


def test_an_error_inside_a_document_is_named_with_its_path(api):
    document = golden("final")
    document["minutes"][1]["valid_s"] = 61
    answer = api("device")("POST", START, document)
    assert told(answer) == (400, "validation_error", "invalid")
    assert answer.json()["outcome"] == "rejected"
    assert answer.json()["reason"] == answer.json()["detail"]
    assert answer.json()["detail"].startswith("minutes.1.valid_s: expected a number")
    row = {"valid_s": ["expected a number from 0 to 60.5, found 61"]}
    assert answer.json()["errors"] == {"minutes": {"1": row}}


def test_of_many_errors_the_sentence_names_five(api):
    answer = api("device")("POST", START, golden("final", metrics=dict.fromkeys(METRICS, "x")))
    assert len(answer.json()["errors"]["metrics"]) == len(METRICS)
    assert len(answer.json()["detail"].split("; ")) == 5


METRICS = ("coverage", "frames", "blink_count", "ear_mean", "ear_open", "perclos", "valid_s")


def test_a_body_that_is_no_json_is_rejected_for_good(api):
    answer = api("device").client.post(START, b"{", content_type="application/json")
    assert told(answer) == (400, "client_error", "parse_error")
    assert (answer.json()["outcome"], "errors" in answer.json()) == ("rejected", False)


def test_an_error_without_a_field_has_a_code_of_its_own(api):
    answer = api("nobody")("POST", "/api/device/claim/", {"code": "ABCD2345"})
    assert told(answer) == (400, "validation_error", "no_such_code")
    assert answer.json()["errors"] == ["the code is unknown, expired or already used"]


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("nobody", "not_authenticated"),
        ("revoked", "token_ended"),
        ("revoked device token", "invalid_token"),
    ],
)
def test_without_a_valid_token_the_answer_says_how_to_authenticate(api, who, code):
    answer = api(who).get("/api/people/")
    assert told(answer) == (401, "client_error", code)
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_wrong_password_is_no_missing_token(api):
    answer = api("nobody")("POST", TOKEN, {"username": "anna", "password": PASSWORD + "!"})
    assert told(answer) == (401, "client_error", "wrong_password")


def test_what_is_not_allowed_is_forbidden(api):
    answer = api("device").get("/api/people/")
    assert told(answer) == (403, "client_error", "permission_denied")


@pytest.mark.parametrize("path", ["/api/no/such/thing/", "/api/session/history/?user=otto"])
def test_what_is_not_there_and_what_may_not_be_seen_are_not_found(api, path):
    answer = api("anna").get(path)
    assert told(answer) == (404, "client_error", "not_found")
    assert answer.json()["detail"] == "Not found."


def test_another_devices_session_is_not_found_and_rejected(api):
    document = golden("started")
    api("device")("POST", START, document)
    answer = api("other device")("POST", START, document)
    assert told(answer) == (404, "client_error", "not_found")
    assert answer.json()["outcome"] == "rejected"


def test_a_method_that_is_not_offered_is_refused(api):
    answer = api("anna")("DELETE", "/api/people/")
    assert told(answer) == (405, "client_error", "method_not_allowed")
    assert "GET" in answer["Allow"]


def test_a_finished_session_is_in_conflict_with_changes(api):
    document = golden("final")
    api("device")("POST", START, document)
    change = {"metrics": {"blink_count": 6}}
    answer = api("device")("PATCH", f"/api/session/{document['session_id']}/", change)
    assert told(answer) == (409, "client_error", "session_over")
    assert answer.json()["outcome"] == "stale"


def test_a_body_that_is_too_large_is_rejected_for_good(api):
    answer = api("device").client.post(
        START, b" " * (1024 * 1024 + 1), content_type="application/json"
    )
    assert told(answer) == (413, "client_error", "too_large")
    assert answer.json()["outcome"] == "rejected"


def test_another_content_type_is_refused(api):
    answer = api("device").client.post(START, b"{}", content_type="text/plain")
    assert told(answer) == (415, "client_error", "unsupported_media_type")


def test_a_device_beyond_its_share_is_told_when_to_come_back(api, monkeypatch):
    monkeypatch.setattr(DeviceThrottle, "share", FairShare(0.5, 1))
    api("device")("POST", START, golden("started"))
    answer = api("device")("POST", START, golden("started"))
    assert told(answer) == (429, "client_error", "throttled")
    assert int(answer["Retry-After"]) > 0


# What the server did


def failing(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(accept, "_store", fail)


@pytest.mark.parametrize("debug", [False, True])
def test_an_exception_of_ours_is_a_500_that_says_nothing_about_it(api, monkeypatch, debug):
    failing(monkeypatch, KeyError("hunter2"))
    with override_settings(DEBUG=debug):
        answer = api("device")("POST", START, golden("started"))
    assert told(answer) == (500, "server_error", "internal_error")
    assert answer.json().keys() == {"type", "code", "detail"}
    assert answer.json()["detail"] == "Internal server error."


def test_so_is_one_before_the_view_is_reached(world, monkeypatch):
    def fail(*_):
        raise KeyError("hunter2")

    monkeypatch.setattr("django.middleware.csrf.CsrfViewMiddleware.process_request", fail)
    answer = Client(raise_request_exception=False).get("/api/people/")
    assert told(answer) == (500, "server_error", "internal_error")
    assert "hunter2" not in answer.content.decode()


@pytest.mark.parametrize(
    ("error", "status"), [(KeyError("hunter2"), 500), (OperationalError("hunter2"), 503)]
)
def test_the_log_has_its_kind_and_place_once_and_no_message(
    api, monkeypatch, caplog, error, status
):
    failing(monkeypatch, error)
    assert api("device")("POST", START, golden("started")).status_code == status
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    said = record.getMessage()
    assert said.startswith(f"a request of api/session/start/ failed: {type(error).__name__} in ")
    assert "fail:" in said
    assert "hunter2" not in said


# Pages while the database is away


def away(error):
    def fail(*_):
        raise error("private")

    return connection.execute_wrapper(fail)


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("path", ["/", "/login/", "/account/"])
def test_a_page_says_to_try_again_while_the_database_is_away(world, error, path):
    client = Client(raise_request_exception=False)
    client.force_login(world.anna)
    with away(error):
        filled_in = {"username": "anna", "password": PASSWORD}
        answer = client.post(path, filled_in) if "login" in path else client.get(path)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Please try again in a moment" in answer.text
    assert "private" not in answer.text
    assert client.get("/").status_code == 200  # still logged in


def test_a_form_that_a_proxy_without_the_port_makes_fail_says_why(world):
    client = Client(enforce_csrf_checks=True)
    origin = "http://testserver:8443"
    answer = client.post("/login/", {}, headers={"Origin": origin})
    assert answer.status_code == 403
    assert f"opened at {origin}, but the server was asked for http://testserver," in answer.text
    for headers in ({}, {"Origin": "null"}, {"Origin": "http://testserver"}):
        answer = client.post("/login/", {}, headers=headers)
        assert answer.status_code == 403
        assert "This page has expired" in answer.text
        assert "administrator" not in answer.text


def test_a_request_to_the_api_that_no_view_handles_says_so_too(world, monkeypatch):
    client = Client(raise_request_exception=False)

    def fail(*_):
        raise OperationalError("private")

    monkeypatch.setattr("django.middleware.csrf.CsrfViewMiddleware.process_view", fail)
    answer = client.get("/api/people/")
    assert told(answer)[0::2] == (503, "database_unavailable")
    assert answer["Retry-After"] == "5"


def test_another_error_is_still_the_servers_own(world, monkeypatch):
    client = Client(raise_request_exception=False)
    client.force_login(world.anna)
    with away(ValueError):
        answer = client.get("/")
    assert answer.status_code == 500
    assert "Retry-After" not in answer
