"""Everybody against every address: who gets what, and that nobody gets anything else."""

import re
import uuid

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from server.alerts.models import Alert, Kind
from server.care.access import person_for, visible_people
from server.care.models import CareLink, Person
from server.devices.models import Command, Device
from server.notes.models import Note
from server.session_data.accept import accept_own, accept_session
from server.session_data.amend import first_document
from server.session_data.models import SessionData
from tests.server.care.test_sharing_matrix import API as SHARING
from tests.server.conftest import golden

CALLERS = [
    "anna",  # whose data it is
    "carl",  # a caregiver
    "ella",  # a caregiver no more
    "otto",  # an outsider
    "device",
    "other device",
    "revoked",
    "revoked device token",
    "nobody",
]

DENIED = {"device": 403, "other device": 403}
UNKNOWN = {"revoked": 401, "revoked device token": 401, "nobody": 401}
READ = {"anna": 200, "carl": 200, "ella": 404, "otto": 404, **DENIED, **UNKNOWN}
EVERYBODY = dict.fromkeys(CALLERS, 200)
PEOPLE = {"anna": 200, "carl": 200, "ella": 200, "otto": 200, **DENIED, **UNKNOWN}
WRITE = {"anna": 403, "carl": 403, "ella": 404, "otto": 404, "device": 200, "other device": 404}
OWN = {"anna": 200, "carl": 403, "ella": 404, "otto": 404, "device": 404, "other device": 404}
NOT_HIS = READ | {"carl": 404}
WHOLE_NOTE = {"kind": "drops", "at": "2026-11-22T08:00:00Z", "text": "", "shared": True}
START = dict.fromkeys(["anna", "carl", "ella", "otto"], 201)

# address, method, what is sent, who gets which status
MATRIX = {
    "history": ("/api/session/history/?user=anna", "GET", None, READ),
    "own history": ("/api/session/history/", "GET", None, PEOPLE),
    "history of nobody": (
        "/api/session/history/?user=nobody",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 404) | DENIED | UNKNOWN,
    ),
    "summary": ("/api/session/summary/?user=anna", "GET", None, READ),
    "export": ("/api/session/export/?user=anna", "GET", None, READ),
    "export of all people": ("/api/session/export/?people=all", "GET", None, PEOPLE),
    "codebook": ("/api/session/export/codebook/", "GET", None, PEOPLE),
    "alerts": ("/api/alerts/", "GET", None, PEOPLE),
    **{
        f"alert of another: {action}": (
            f"/api/alerts/{{alert}}/{action}/",
            "POST",
            body,
            dict.fromkeys(["anna", "ella", "otto"], 404) | {"carl": carl} | DENIED | UNKNOWN,
        )
        for action, body, carl in (
            ("acknowledge", {}, 200),
            ("give-back", {}, 409),
            ("snooze", {"minutes": 60}, 200),
            ("hand-over", {"user": "anna"}, 200),
        )
    },
    "somebody else's": (  # it is under way
        "/api/session/{session}/somebody-else/",
        "POST",
        {},
        {"anna": 409, "carl": 409, "ella": 404, "otto": 404, **DENIED, **UNKNOWN},
    ),
    "activity": ("/api/session/{session}/activity/", "PUT", {"activity": "reading"}, READ),
    "activity taken back": ("/api/session/{session}/activity/", "DELETE", None, READ),
    "notes": ("/api/notes/?user=anna", "GET", None, READ),
    "own notes": ("/api/notes/", "GET", None, PEOPLE),
    "export of notes": ("/api/notes/export/?user=anna", "GET", None, READ),
    "note about oneself": (
        "/api/notes/",
        "POST",
        {"kind": "bad_sleep"},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 201) | DENIED | UNKNOWN,
    ),
    "note on a session": (
        "/api/notes/",
        "POST",
        "note on session",
        {"anna": 201, "carl": 201, "ella": 404, "otto": 404, **DENIED, **UNKNOWN},
    ),
    **{
        f"{method} {name} note": (f"/api/notes/{{{name} note}}/", method, body, who)
        for name, method, body, who in (
            ("shared", "GET", None, READ),
            ("private", "GET", None, NOT_HIS),
            ("shared", "PUT", WHOLE_NOTE, NOT_HIS | {"carl": 403}),
            ("private", "PUT", WHOLE_NOTE | {"shared": False}, NOT_HIS),
            ("shared", "PATCH", {"text": "x"}, NOT_HIS | {"carl": 403}),
            ("private", "PATCH", {"text": "x"}, NOT_HIS),
            ("Carl's", "PATCH", {"text": "x"}, READ | {"anna": 403}),
        )
    },
    "delete a shared note": (
        "/api/notes/{shared note}/",
        "DELETE",
        None,
        {"carl": 403, "ella": 404, "otto": 404, **DENIED, **UNKNOWN, "anna": 204},
    ),
    "delete a private note": (
        "/api/notes/{private note}/",
        "DELETE",
        None,
        dict.fromkeys(["carl", "ella", "otto"], 404) | DENIED | UNKNOWN | {"anna": 204},
    ),
    "delete Carl's note": (
        "/api/notes/{Carl's note}/",
        "DELETE",
        None,
        {"ella": 404, "otto": 404, **DENIED, **UNKNOWN, "carl": 204},
    ),
    "before and after a shared note": (
        "/api/notes/{shared note}/before-after/",
        "GET",
        None,
        READ,
    ),
    "before and after a private note": (
        "/api/notes/{private note}/before-after/?days=28",
        "GET",
        None,
        NOT_HIS,
    ),
    "session": ("/api/session/{session}/", "GET", None, READ),
    "session of nobody": (
        f"/api/session/{uuid.uuid4()}/",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 404) | DENIED | UNKNOWN,
    ),
    "put": ("/api/session/{session}/", "PUT", "final", WRITE | UNKNOWN),
    "patch": ("/api/session/{session}/", "PATCH", "change", WRITE | UNKNOWN),
    "end": ("/api/session/{session}/end/", "POST", "change", WRITE | UNKNOWN),
    "put own": ("/api/session/{own}/", "PUT", "own final", OWN | UNKNOWN),
    "patch own": ("/api/session/{own}/", "PATCH", "change", OWN | UNKNOWN),
    "end own": ("/api/session/{own}/end/", "POST", "change", OWN | UNKNOWN),
    "start with a known id": (
        "/api/session/start/",
        "POST",
        "final",
        dict.fromkeys(["anna", "carl", "ella", "otto"], 400)
        | {"device": 200, "other device": 404}
        | UNKNOWN,
    ),
    "start": ("/api/session/start/", "POST", "new", {"device": 201, "other device": 201} | UNKNOWN),
    "start one's own": (
        "/api/session/start/",
        "POST",
        {},
        START | {"device": 400, "other device": 400} | UNKNOWN,
    ),
    "stop a device's session": (  # no broker is there
        "/api/session/{session}/end/",
        "POST",
        {},
        {"anna": 503, "carl": 503, "ella": 404, "otto": 404, "device": 200, "other device": 404}
        | UNKNOWN,
    ),
    "start on a device": (
        "/api/session/start/",
        "POST",
        "device",
        {"anna": 503, "carl": 503, "ella": 404, "otto": 404, "device": 400, "other device": 400}
        | UNKNOWN,
    ),
    "start on no device": (
        "/api/session/start/",
        "POST",
        {"device": str(uuid.uuid4())},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 404)
        | {"device": 400, "other device": 400}
        | UNKNOWN,
    ),
    "command": ("/api/commands/{command}/", "GET", None, READ),
    "a device's commands": (
        "/api/device/commands/",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 200, "other device": 200}
        | UNKNOWN,
    ),
    "a device's settings": (
        "/api/device/settings/",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 200, "other device": 200}
        | UNKNOWN,
    ),
    "a device's report": (
        "/api/device/release/",
        "POST",
        {},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 400, "other device": 400}
        | UNKNOWN,
    ),
    "an archive": (
        f"/api/device/release/{'0' * 64}/",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 404, "other device": 404}
        | UNKNOWN,
    ),
    "key of releases": ("/api/device/release/key/", "GET", None, dict.fromkeys(CALLERS, 404)),
    "a device's software": (
        "/api/device/{device}/release/",
        "GET",
        None,
        {"anna": 200} | dict.fromkeys(["carl", "ella", "otto"], 404) | DENIED | UNKNOWN,
    ),
    "a device's view": (
        "/api/device/aim/",
        "POST",
        {},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 400, "other device": 400}
        | UNKNOWN,
    ),
    "batch": ("/api/session/batch/", "POST", [], EVERYBODY | UNKNOWN),
    "authority": (
        f"/api/device/authorities/{uuid.uuid4()}/",
        "GET",
        None,
        dict.fromkeys(CALLERS, 404),
    ),
    "claim": (
        "/api/device/claim/",
        "POST",
        {"code": "ABCD2345", "agent_version": "1"},
        dict.fromkeys(CALLERS, 400),
    ),
    "people": ("/api/people/", "GET", None, PEOPLE),
    "requests for access": ("/api/access-requests/", "GET", None, PEOPLE),
    "ask outside of an institution": (
        "/api/access-requests/",
        "POST",
        {"name": "anna", "permissions": ["history"]},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403) | DENIED | UNKNOWN,
    ),
    "requests for one's own data": ("/api/access-requests/received/", "GET", None, PEOPLE),
    "agree to no request": (
        "/api/access-requests/1/agree/",
        "POST",
        {"permissions": ["history"]},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 404) | DENIED | UNKNOWN,
    ),
    "access log": ("/api/access-log/", "GET", None, PEOPLE),
    "delete token": (
        "/api/auth/token/",
        "DELETE",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 204) | DENIED | UNKNOWN,
    ),
    "log in": (
        "/api/auth/token/",
        "POST",
        {"username": "anna", "password": "?"},
        dict.fromkeys(CALLERS, 401),
    ),
    "schema": ("/api/schema/", "GET", None, EVERYBODY | UNKNOWN | {"nobody": 200}),
    "docs": ("/api/docs/", "GET", None, EVERYBODY | UNKNOWN | {"nobody": 200}),
    "healthz": ("/healthz", "GET", None, EVERYBODY),
    "readyz": ("/readyz", "GET", None, EVERYBODY),
    "admin": ("/admin/", "GET", None, dict.fromkeys(CALLERS, 302)),
}


@pytest.fixture(autouse=True)
def no_broker(settings):
    settings.MQTT_URL = "mqtt://127.0.0.1:1"


@pytest.fixture
def known(world):
    """A session of Anna's by her device, and one that she began herself."""
    by_device = golden("started")
    accept_session(world.device, by_device)
    own = first_document(world.anna, uuid.uuid4(), {})
    accept_own(world.anna, own)
    command = Command.objects.create(
        device=world.device,
        person=world.anna,
        asked_by_name="carl",
        command="start",
        session_id=by_device["session_id"],
        expires_at=timezone.now(),
    )
    CareLink.objects.filter(caregiver=world.carl).update(may_get_alerts=True)
    alert = Alert.objects.create(
        receiver=world.carl,
        person=world.anna,
        kind=Kind.NO_SESSION,
        cause="2026-11-22",
        measured={"by": "12:00", "day": "2026-11-22"},
        opened_at=timezone.now(),
    )
    at, text = timezone.now(), {"kind": "text", "text": "words", "author_name": "who"}
    notes = [
        Note.objects.create(person=world.anna, author=author, at=at, shared=shared, **text)
        for author, shared in ((world.anna, True), (world.anna, False), (world.carl, True))
    ]
    return {
        **{
            name: str(note.pk)
            for name, note in zip(
                ("shared note", "private note", "Carl's note"), notes, strict=True
            )
        },
        "session": by_device["session_id"],
        "alert": str(alert.pk),
        "own": own["session_id"],
        "command": str(command.pk),
        "device": str(world.device.pk),
    }


def body_of(name, known):
    if not isinstance(name, str):
        return name
    return {
        "final": golden("final", session_id=known["session"]),
        "own final": golden("final", session_id=known["own"]),
        "change": {"metrics": {"frames": 1}},
        "new": golden("started"),
        "device": {"device": known["device"]},
        "note on session": {"kind": "text", "text": "x", "session_id": known["session"]},
    }[name]


@pytest.mark.parametrize("what", MATRIX)
def test_everybody_gets_what_is_theirs_and_nothing_else(api, known, what):
    address, method, body, expected = MATRIX[what]
    for who in expected:
        # Each as if alone: what one changed, the next would find.
        before = set(SessionData.objects.values_list("id", "revision"))
        answer = api(who)(method, address.format(**known), body_of(body, known))
        assert answer.status_code == expected[who], (who, answer.content)
        if answer.status_code >= 400:
            assert set(SessionData.objects.values_list("id", "revision")) == before, who
            assert known["session"] not in mentioned(answer, body, known), who
            assert b"Traceback" not in answer.content


def mentioned(answer, body, known):
    """What the answer says beyond what was asked."""
    asked = str(body_of(body, known))
    return set(re.findall(r"[0-9a-f-]{36}", answer.content.decode())) - set(
        re.findall(r"[0-9a-f-]{36}", asked + str(answer.request["PATH_INFO"]))
    )


def test_the_matrix_names_every_address_of_the_api():
    paths = {
        re.sub(r"\{.*?\}|[0-9a-f-]{36}", "<id>", row[0]).split("?")[0] for row in MATRIX.values()
    }
    paths |= {re.sub(r"\{.*?\}", "<id>", row[1]).split("?")[0] for row in SHARING.values()}
    known_paths = {re.sub(r"<.*?>", "<id>", "/" + path) for path in api_paths(get_resolver())}
    assert known_paths <= paths


def api_paths(resolver, prefix=""):
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver) and (path == "" or path.startswith("api")):
            yield from api_paths(pattern, path)
        elif isinstance(pattern, URLPattern) and path.startswith("api"):
            yield path


def test_a_stranger_and_nobody_get_the_same_answer(api, known):
    other = api("otto").get("/api/session/history/", user="anna")
    nobody = api("otto").get("/api/session/history/", user="no such person")
    assert (other.status_code, other.content) == (nobody.status_code, nobody.content)
    other = api("otto").get(f"/api/session/{known['session']}/")
    nobody = api("otto").get(f"/api/session/{uuid.uuid4()}/")
    assert (other.status_code, other.content) == (nobody.status_code, nobody.content)


def test_a_link_that_ends_ends_with_the_next_request(api, known, world):
    assert api("carl").get("/api/session/history/", user="anna").status_code == 200
    CareLink.objects.get(caregiver=world.carl, ended_at=None).end()
    assert api("carl").get("/api/session/history/", user="anna").status_code == 404


def test_a_link_is_of_one_direction(api, known):
    assert api("anna").get("/api/session/history/", user="carl").status_code == 404


def test_rank_opens_nobodys_history(api, known, world):
    Person.objects.filter(pk=world.otto.pk).update(is_staff=True, is_superuser=True)
    assert api("otto").get("/api/session/history/", user="anna").status_code == 404
    assert [p.username for p in visible_people(Person.objects.get(pk=world.otto.pk))] == ["otto"]


def test_people_are_those_who_let_one_in(api):
    names = [p["username"] for p in api("carl").get("/api/people/").json()["results"]]
    assert names == ["anna", "carl"]
    assert [p["username"] for p in api("ella").get("/api/people/").json()["results"]] == ["ella"]


def test_a_link_made_anew_after_its_end_shows_a_person_once(world):
    CareLink.objects.create(caregiver=world.ella, person=world.anna)
    assert [p.username for p in visible_people(world.ella)] == ["anna", "ella"]
    assert person_for(world.ella, "anna") == world.anna


def test_a_revoked_device_is_unknown_with_its_next_request(api, world):
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 201
    Device.objects.filter(pk=world.device.pk).update(revoked_at="2026-01-01T00:00:00Z")
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 401


def test_a_person_who_may_no_longer_log_in_is_unknown(api, world):
    Person.objects.filter(pk=world.carl.pk).update(is_active=False)
    assert api("carl").get("/api/people/").status_code == 401
