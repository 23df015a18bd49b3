"""Headers that answers of the API have: limits, Retry-After, and the address of what is new."""

import re

import pytest

from server.devices import fair_share
from server.devices.fair_share import FairShare, Limit
from server.session_data.accept import accept_session
from tests.server.conftest import golden

ITEM = re.compile(r'"([a-z]+)"((?:;[a-z]=\d+)+)')


@pytest.fixture(autouse=True)
def at_one_moment(monkeypatch):
    """No time passes, in which what was used would be free again."""
    for each in (fair_share.REQUESTS, fair_share.CHANGES, fair_share.DeviceThrottle.share):
        monkeypatch.setattr(each, "_clock", lambda: 1000.0)


def items(header):
    """Parse a list of strings with parameters that are whole numbers (RFC 9651)."""
    found = {}
    for member in header.split(", "):
        name, parameters = ITEM.fullmatch(member).groups()
        found[name] = {each[0]: int(each[2:]) for each in parameters[1:].split(";")}
    return found


def limits(answer):
    policy, state = (items(answer.headers[each]) for each in ("RateLimit-Policy", "RateLimit"))
    assert list(policy) == list(state)
    return {name: {**policy[name], **state[name]} for name in policy}


# Limits


def test_a_person_is_told_the_limits_that_a_request_counts_towards(api):
    read = limits(api("anna").get("/api/people/"))
    assert read == {"requests": {"q": 600, "w": 30, "r": 599, "t": 1}}
    write = limits(api("anna")("POST", "/api/session/start/", {}))
    assert write["requests"]["r"] == 598
    assert write["changes"] == {"q": 120, "w": 60, "r": 119, "t": 1}


def test_a_device_is_told_its_own(api, world):
    document = golden("final")
    answer = api("device")("PUT", f"/api/session/{document['session_id']}/", document)
    assert limits(answer) == {"documents": {"q": 1000, "w": 20, "r": 999, "t": 1}}
    polled = limits(api("device").get("/api/device/commands/"))
    assert (polled["polls"]["q"], polled["polls"]["w"]) == (100, 20)


def test_nobody_else_is_told_any(api):
    for answer in (api("nobody").get("/api/people/"), api("anna").get("/healthz")):
        assert "RateLimit" not in answer.headers


def test_what_is_left_is_what_can_still_be_sent():
    now_s = [1000.0]
    share = FairShare(2, 10, lambda: now_s[0])
    for left in range(9, -1, -1):
        assert share.take("a") == 0
        assert share.left("a")[0] == left
    assert share.take("a") > 0
    assert Limit("changes", share, "a").state() == '"changes";r=0;t=5'
    now_s[0] += 3
    assert share.left("a") == (6, 2)
    assert share.left("b") == (10, 0)


def test_who_is_refused_is_told_when_to_try_again_and_that_nothing_is_left(api, monkeypatch):
    monkeypatch.setattr(fair_share, "REQUESTS", FairShare(0.5, 1, lambda: 1000.0))
    api("anna").get("/api/people/")
    answer = api("anna").get("/api/people/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert limits(answer)["requests"] == {"q": 1, "w": 2, "r": 0, "t": 2}


# Addresses


def test_what_is_new_comes_with_its_address(api, world):
    anna, document = api("anna"), golden("final")
    started = anna("POST", "/api/session/start/", {})
    assert anna.get(started.headers["Location"]).json()["id"] == started.json()["id"]
    path = f"/api/session/{document['session_id']}/"
    assert api("device")("PUT", path, document).headers["Location"] == path
    assert "Location" not in api("device")("PUT", path, document).headers
    invited = anna("POST", "/api/invitations/", {"permissions": ["history"]})
    code = {"code": invited.json()["code"]}
    link = api("otto")("POST", "/api/invitations/accept/", code).headers["Location"]
    assert api("otto")("DELETE", link).status_code == 204
    invited = anna("POST", "/api/invitations/", {"permissions": ["history"]})
    assert anna("DELETE", invited.headers["Location"]).status_code == 204
    rotated = anna("POST", f"/api/device/{world.device.pk}/rotate/")
    assert anna.get(rotated.headers["Location"]).json()["id"] == str(world.device.pk)


def test_a_new_device_and_a_new_token_come_with_their_address(api, world):
    code = api("anna")("POST", "/api/device/claim-codes/", {"label": "Desk"}).json()["code"]
    claimed = api("nobody")("POST", "/api/device/claim/", {"code": code, "agent_version": "1"})
    assert claimed.status_code == 201
    device = api("anna").get(claimed.headers["Location"]).json()
    assert device["id"] == claimed.json()["device"]
    login = {"username": "anna", "password": "a long enough pass phrase"}
    token = api("nobody")("POST", "/api/auth/token/", login)
    assert token.headers["Location"] == "/api/auth/token/"


# The description


@pytest.fixture
def description(api):
    return api("nobody").get("/api/schema/", format="json").json()


def operations(description):
    for path in description["paths"].values():
        yield from path.values()


def test_the_description_names_the_headers(description):
    headers = description["components"]["headers"]
    for operation in operations(description):
        answers = {
            status: set(each.get("headers", ())) for status, each in operation["responses"].items()
        }
        assert "Retry-After" in answers["429"] & answers["503"]
        if "201" in answers and operation["operationId"] != "device_code":
            assert "Location" in answers["201"]
        if operation.get("security"):
            assert answers["429"] >= {"RateLimit", "RateLimit-Policy"}
        named = set().union(*answers.values()) - {"ETag"}
        assert named <= headers.keys()


def test_an_unready_server_says_when_to_ask_again(api, settings):
    settings.READY_WITH_CONSUMER = True
    answer = api("nobody").get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_a_full_quota_says_when_to_try_again(api, world, settings):
    settings.PERSON_MB = 1
    document = golden("final", note="x" * 700_000)
    accept_session(world.device, document)
    more = golden("final", note="x" * 700_000)
    answer = api("device")("PUT", f"/api/session/{more['session_id']}/", more)
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_reached")
    assert answer.headers["Retry-After"] == "3600"
