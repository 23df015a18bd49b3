"""Every list of the API is paged in one way, and refuses what it doesn't know in one way."""

import base64
import json
from datetime import timedelta

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from server.alerts.models import Alert, Kind, Why
from server.care.asking import requests
from server.care.models import (
    AccessLog,
    AuditEntry,
    CareLink,
    Institution,
    Invitation,
    Membership,
    Person,
)
from server.devices.models import DeadLetter, Device
from server.notes.models import Note
from tests.server.conftest import golden

COUNT = 5


def sessions(world, api):
    for _ in range(COUNT):
        assert api("device")("POST", "/api/session/start/", golden("final")).status_code == 201


def people(world, api):
    for n in range(COUNT - 1):
        person = Person.objects.create_user(f"person{n}")
        CareLink.objects.create(caregiver=world.anna, person=person)


def looks(world, api):
    now = timezone.now()
    for n in range(COUNT):  # two at each moment: the id decides
        at = now - timedelta(seconds=n // 2)
        AccessLog.objects.create(person=world.anna, viewer_name=f"v{n}", what="x", last_at=at)


def entries(world, api):
    AuditEntry.objects.all().delete()
    for n in range(COUNT):
        AuditEntry.objects.create(subject=world.anna, event="exported", detail=str(n))


def invitations(world, api):
    for n in range(COUNT):
        Invitation.issue(person=world.anna, name=f"n{n}", may_see_history=True)


def home_of(*people):
    home = Institution.objects.create(name="Home")
    for person in people:
        Membership.objects.create(institution=home, person=person)
    return home


def sent_requests(world, api):
    home = home_of(world.anna)
    for n in range(COUNT):
        requests.ask(world.anna, home, f"n{n}", ["live"])


def received_requests(world, api):
    people = [Person.objects.create_user(f"person{n}") for n in range(COUNT)]
    home = home_of(world.anna, *people)
    for person in people:
        requests.ask(person, home, "anna", ["live"])


def links(world, api):
    for n in range(COUNT - 1):
        person = Person.objects.create_user(f"person{n}")
        CareLink.objects.create(caregiver=person, person=world.anna)


def devices(world, api):
    for _ in range(COUNT - 1):
        Device.objects.create(person=world.anna, label="Kitchen")  # all have the same


def refusals(world, api):
    for n in range(COUNT):
        DeadLetter.objects.create(
            device=world.device,
            person=world.anna,
            door="http",
            reason=f"r{n}",
            size=2,
            payload="{}",
        )


def alerts(world, api):
    for n in range(COUNT):
        Alert.objects.create(
            receiver=world.anna,
            person=world.anna,
            kind=Kind.NO_SESSION,
            cause=f"c{n}",
            measured={"day": "2026-11-22", "by": "10:00"},
            opened_at=timezone.now(),
            resolved_at=timezone.now(),
            why=Why.values[0],
        )


def notes(world, api):
    at = timezone.now()
    for n in range(COUNT):  # two at each moment: the id decides
        moment = at - timedelta(seconds=n // 2)
        Note.objects.create(person=world.anna, author=world.anna, kind="drops", at=moment)


LISTS = {
    "/api/session/history/": sessions,
    "/api/people/": people,
    "/api/access-log/": looks,
    "/api/audit-log/": entries,
    "/api/invitations/": invitations,
    "/api/links/": links,
    "/api/access-requests/": sent_requests,
    "/api/access-requests/received/": received_requests,
    "/api/device/": devices,
    "/api/device/managed/": devices,
    "/api/device/{device}/refused/": refusals,
    "/api/alerts/": alerts,
    "/api/notes/": notes,
}


@pytest.fixture(params=LISTS)
def path(request, world, api):
    """The address of a list with `COUNT` rows."""
    LISTS[request.param](world, api)
    return request.param.format(device=world.device.pk)


def test_a_list_is_read_page_by_page_in_both_directions(api, path):
    whole = api("anna").get(path).json()
    assert len(whole["results"]) == COUNT
    assert (whole["has_more"], whole["next"], whole["previous"]) == (False, None, None)
    there, url = [], path + "?limit=2"
    while url:
        page = api("anna").get(url).json()
        assert (page["limit"], page["has_more"]) == (2, page["next"] is not None)
        there.append(page["results"])
        url = page["next"]
    assert [len(each) for each in there] == [2, 2, 1]
    assert [row for each in there for row in each] == whole["results"]
    back, url = [], page["previous"]
    while url:
        page = api("anna").get(url).json()
        assert page["has_more"]
        back.append(page["results"])
        url = page["previous"]
    assert back == there[1::-1]


def test_a_parameter_that_a_list_does_not_know_is_refused_by_name(api, path):
    for query, code, named in (
        ("?page=2", "unknown_parameter", "page"),
        ("?limit=2&limit=3", "repeated_parameter", "limit"),
        ("?limit=0", "invalid", "limit"),
        ("?limit=201", "invalid", "limit"),
        ("?limit=many", "invalid", "limit"),
        ("?cursor=abc", "invalid", "cursor"),
    ):
        answer = api("anna").get(path + query)
        assert (answer.status_code, answer.json()["code"]) == (400, code), query
        assert list(answer.json()["errors"]) == [named]
        assert answer.json()["errors"][named][0].startswith("expected ")


def forged(*fields):
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "fields",
    [
        (0,),
        (2, "a"),
        (0, "a", "b", "c"),
        (0, None, None),
        (0, 1.5, []),
        (0, "\0", "\0"),
        (0, {}, []),
        (0, 10**400, 10**400),
        "text",
    ],
)
def test_a_forged_cursor_is_refused(api, path, fields):
    answer = api("anna").get(path, cursor=forged(*fields))
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["cursor"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "2026-01-01T00:00:00", "now"])
def test_a_moment_that_no_row_can_have_is_refused(api, world, moment):
    answer = api("anna").get("/api/access-log/", cursor=forged(0, moment, 1))
    assert answer.status_code == 400


def test_a_number_that_no_row_can_have_is_beyond_the_end(api, world):
    looks(world, api)
    cursor = forged(1, "2026-01-01T00:00:00Z", 10**30)
    assert api("anna").get("/api/access-log/", cursor=cursor).status_code == 200


def test_rows_that_are_added_meanwhile_are_neither_missed_nor_repeated(api, world):
    looks(world, api)
    first = api("anna").get("/api/access-log/", limit="2").json()
    AccessLog.objects.create(person=world.anna, viewer_name="new", what="x")
    second = api("anna").get(first["next"]).json()
    names = [row["viewer"] for row in first["results"] + second["results"]]
    assert names == ["v1", "v0", "v3", "v2"]


def test_other_parameters_stay_on_the_next_pages(api, world):
    alerts(world, api)
    page = api("anna").get("/api/alerts/", state="resolved", limit="2").json()
    assert "state=resolved" in page["next"]
    assert api("anna").get("/api/alerts/", state="closed").json()["errors"] == {
        "state": ["expected one of open, resolved, found 'closed'"]
    }


# Addresses without the slash at their end


@pytest.mark.parametrize("debug", [False, True])
def test_a_request_without_the_slash_is_answered_as_with_it(api, world, debug):
    with override_settings(DEBUG=debug):
        answer = api("anna")("POST", "/api/session/start", {})
        assert answer.status_code == 201
        path = f"/api/session/{answer.json()['id']}"
        assert api("anna")("PATCH", path, {"blink_count": 13}).json()["outcome"] == "stored"
        assert api("anna")("PUT", path, {"blink_count": 14}).json()["outcome"] == "stored"
        assert api("anna")("POST", path + "/end", {"ear_mean": 0.3}).json()["outcome"] == "stored"
        assert api("anna").get(path).json()["blink_count"] == 14
        assert api("anna").get("/api/session/history", limit="1").json()["limit"] == 1
        assert api("anna")("DELETE", "/api/auth/token").status_code == 204


def test_an_unknown_address_stays_unknown_and_pages_are_redirected_as_ever(world):
    assert Client().post("/api/no/such").status_code == 404
    assert Client().get("/login").headers["Location"] == "/login/"
