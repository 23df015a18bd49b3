"""A person invites, permits and ends; what they end is over with the next request."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection
from django.http import Http404
from django.test import Client
from django.utils import timezone

from server.care import sharing, wrong_codes
from server.care.access import note_look
from server.care.models import AccessLog, AuditEntry, CareLink, Invitation, Permission, Person
from server.common.paging import SIZE
from server.devices.models import ClaimCode
from server.retention.codes import tidy
from tests.server.conftest import PASSWORD, Api
from tests.server.session_data.test_accept_races import in_threads

HISTORY = "/api/session/history/"
WRONG = "AAAA22223333"


def invite(api, *permissions):
    answer = api("anna")("POST", "/api/invitations/", {"permissions": permissions, "name": "Otto"})
    assert answer.status_code == 201
    return answer.json()


def accept(api, who, code):
    return api(who)("POST", "/api/invitations/accept/", {"code": code})


def browser_of(world, name):
    browser = Client()
    browser.force_login(getattr(world, name))
    return browser


# Invitations


def test_who_accepts_sees_what_was_permitted_and_nothing_else(world, api):
    told = invite(api, "history")
    assert api("otto").get(HISTORY, user="anna").status_code == 404
    answer = accept(api, "otto", told["code"].lower())
    assert answer.status_code == 201
    link = answer.json()
    assert (link["person"], link["caregiver"], link["permissions"]) == ("anna", "otto", ["history"])
    assert api("otto").get(HISTORY, user="anna").status_code == 200
    assert api("otto").get("/api/device/", user="anna").status_code == 404
    assert api("anna").get(HISTORY, user="otto").status_code == 404  # of one direction


def test_an_invitation_works_once(world, api):
    code = invite(api, "history")["code"]
    assert accept(api, "otto", code).status_code == 201
    again, unknown = accept(api, "ella", code), accept(api, "ella", WRONG)
    assert (again.status_code, again.content) == (400, unknown.content)


def test_one_that_is_withdrawn_or_too_old_or_ones_own_opens_nothing(world, api):
    told = invite(api, "history")
    assert api("anna")("DELETE", f"/api/invitations/{told['id']}/").status_code == 204
    assert accept(api, "otto", told["code"]).status_code == 400
    late = invite(api, "history")["code"]
    Invitation.objects.update(expires_at=timezone.now())
    assert accept(api, "otto", late).status_code == 400
    own = invite(api, "history")["code"]
    assert accept(api, "anna", own).status_code == 400
    assert accept(api, "otto", own).status_code == 201


def test_invitations_in_the_list_have_no_code(world, api):
    told = invite(api, "live", "history")
    (listed,) = api("anna").get("/api/invitations/").json()["results"]
    assert (listed["name"], listed["permissions"]) == ("Otto", ["history", "live"])
    assert "code" not in listed
    assert told["code"] not in str(Invitation.objects.values())


def test_a_second_invitation_changes_what_is_permitted_and_makes_no_second_link(world, api):
    before = CareLink.objects.get(caregiver=world.carl, ended_at=None)
    code = invite(api, "alerts")["code"]
    assert accept(api, "carl", code).json()["id"] == before.pk
    before.refresh_from_db()
    assert before.permissions == {Permission.ALERTS}


def test_who_guesses_codes_has_to_wait(world, api, monkeypatch):
    monkeypatch.setattr(wrong_codes, "MOST_BY_NETWORK", 3)
    code = invite(api, "history")["code"]
    for number in range(3):
        assert accept(api, "otto", f"{WRONG[:-1]}{number}").status_code == 400
    assert accept(api, "otto", code).status_code == 429
    page = browser_of(world, "otto").post("/join/", {"code": code})
    assert (page.status_code, "Retry-After" in page) == (429, True)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"permissions": []},
        {"permissions": ["all"]},
        {"permissions": "history"},
        {"permissions": ["history"], "days": 31},
        {"permissions": ["history"], "days": 0},
        {"permissions": ["history"], "name": "x" * 101},
        {"permissions": ["history"], "name": "a\x00b"},
    ],
)
def test_an_odd_invitation_is_refused(world, api, body):
    assert api("anna")("POST", "/api/invitations/", body).status_code == 400
    assert not Invitation.objects.exists()


def test_of_too_many_invitations_the_oldest_ends(world):
    texts = [sharing.invite(world.anna, ["live"])[1] for _ in range(Invitation.MOST_LIVE + 1)]
    assert sharing.find(texts[0]) is None
    assert sharing.find(texts[1])


@pytest.mark.django_db(transaction=True)
def test_of_six_who_accept_at_once_one_is_let_in(transactional_db, world):
    people = [Person.objects.create_user(f"p{n}") for n in range(6)]
    for _ in range(3):
        invitation, _text = sharing.invite(world.anna, ["history"])

        def accepted(person, invitation=invitation):
            try:
                return sharing.accept(invitation, person).pk
            except sharing.NotACodeError:
                return None

        answers = in_threads([lambda p=person: accepted(p) for person in people])
        assert answers.count(None) == 5
    assert CareLink.objects.filter(caregiver__in=people).count() <= 3


# Changing and ending


def test_what_is_permitted_anew_holds_from_the_next_request(world, api):
    link = CareLink.objects.get(caregiver=world.carl, ended_at=None)
    address = f"/api/links/{link.pk}/"
    assert api("anna")("PATCH", address, {"permissions": ["live"]}).json()["permissions"] == [
        "live"
    ]
    assert api("carl").get(HISTORY, user="anna").status_code == 404
    for odd in ({}, {"permissions": []}, {"permissions": ["x"]}):
        assert api("anna")("PATCH", address, odd).status_code == 400
    assert api("carl")("PATCH", address, {"permissions": ["history"]}).status_code == 403


@pytest.mark.parametrize("side", ["anna", "carl"])
def test_either_side_ends_it_and_it_is_over_with_the_next_request(world, api, side):
    assert api("carl").get(HISTORY, user="anna").status_code == 200
    (link,) = api(side).get("/api/links/").json()["results"]
    assert api(side)("DELETE", f"/api/links/{link['id']}/").status_code == 204
    assert api("carl").get(HISTORY, user="anna").status_code == 404
    assert api(side)("DELETE", f"/api/links/{link['id']}/").status_code == 404
    assert api(side).get("/api/links/").json()["results"] == []


# The pages


def test_what_the_other_side_ended_meanwhile_is_not_opened_again_by_a_change(world):
    read_before, link = (CareLink.objects.get(caregiver=world.carl) for _ in range(2))
    sharing.end(link, world.carl)
    with pytest.raises(Http404):
        sharing.change(read_before, {"history"}, world.anna)
    link.refresh_from_db()
    assert (link.ended_at is not None, link.may_see_live) == (True, True)
    assert not AuditEntry.objects.filter(event="link_changed").exists()
    sharing.end(read_before, world.anna)  # over already: said once
    assert AuditEntry.objects.get(event="link_ended").actor == world.carl


def test_what_was_changed_meanwhile_is_not_told_as_changed_again(world):
    read_before, link = (CareLink.objects.get(caregiver=world.carl) for _ in range(2))
    for each in (link, read_before):
        sharing.change(each, {"history"}, world.anna)
        assert each.permissions == {"history"}
    assert AuditEntry.objects.filter(event="link_changed").count() == 1


def test_who_accepts_anew_what_is_being_ended_does_not_open_it_again(world, monkeypatch):
    invitation, _ = sharing.invite(world.anna, ["live"])
    link = CareLink.objects.get(caregiver=world.carl)
    permit = CareLink.permit

    def ended_meanwhile(each, permissions):
        CareLink.objects.filter(pk=link.pk).update(ended_at=timezone.now())
        permit(each, permissions)

    monkeypatch.setattr(CareLink, "permit", ended_meanwhile)
    sharing.accept(invitation, world.carl)
    link.refresh_from_db()
    assert link.ended_at is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_of_a_change_and_an_end_at_once_the_end_holds(transactional_db, world):
    for _ in range(10):
        link = CareLink.objects.create(caregiver=world.otto, person=world.anna)
        by_each = [CareLink.objects.get(pk=link.pk) for _ in range(2)]

        def change(mine=by_each[0]):
            with suppress(Http404):
                sharing.change(mine, {"history"}, world.anna)

        in_threads([change, lambda mine=by_each[1]: sharing.end(mine, world.otto)])
        link.refresh_from_db()
        assert link.ended_at is not None


def test_the_page_shows_the_code_once_and_whoever_is_invited_afterwards(world):
    anna = browser_of(world, "anna")
    given = {"name": "My son", "may": ["history", "alerts"], "days": "1"}
    page = anna.post("/sharing/", given, follow=True)
    code = page.context["code"]
    assert code in page.content.decode()
    after = anna.get("/sharing/").content.decode()
    assert "My son" in after
    assert code not in after
    assert Invitation.objects.get().permissions == {Permission.HISTORY, Permission.ALERTS}
    left = Invitation.objects.get().expires_at - timezone.now()
    assert timedelta(hours=23) < left <= timedelta(days=1)


def test_an_invitation_that_permits_nothing_is_not_made(world):
    page = browser_of(world, "anna").post("/sharing/", {"name": "x", "days": "7"})
    assert page.status_code == 200
    assert "at least one permission" in page.content.decode()
    assert not Invitation.objects.exists()


def test_by_a_link_one_sees_who_invites_and_accepts(world, api):
    told = invite(api, "live")
    otto = browser_of(world, "otto")
    page = otto.get(told["url"].partition("testserver")[2])
    assert told["code"] in page.content.decode()
    page = otto.post("/join/", {"code": told["code"]}, follow=True)
    assert page.redirect_chain[-1][0] == "/join/accept/"
    assert "anna invites you" in page.content.decode()
    assert CareLink.objects.filter(caregiver=world.otto).count() == 0  # looking accepts nothing
    page = otto.post("/join/accept/", follow=True)
    assert "anna now shares with you: Live." in page.content.decode()
    assert "anna" in otto.get("/sharing/").content.decode()


def test_an_invitation_survives_logging_in(world, api):
    code = invite(api, "live")["code"]
    stranger = Client()
    assert (
        "anna invites you" in stranger.post("/join/", {"code": code}, follow=True).content.decode()
    )
    assert stranger.post("/join/accept/").status_code == 200  # nobody accepts
    login = {"username": "otto", "password": PASSWORD, "next": "/join/accept/"}
    assert stranger.post("/login/", login)["Location"] == "/join/accept/"
    assert stranger.post("/join/accept/")["Location"] == "/"
    assert CareLink.objects.get(caregiver=world.otto).permissions == {Permission.LIVE}


def test_a_person_changes_and_ends_on_the_page(world, api):
    link = CareLink.objects.get(caregiver=world.carl, ended_at=None)
    anna = browser_of(world, "anna")
    page = anna.post(f"/sharing/links/{link.pk}/", {f"link-{link.pk}-may": ["live"]}, follow=True)
    assert "Permissions of carl: Live." in page.content.decode()
    page = anna.post(f"/sharing/links/{link.pk}/", {}, follow=True)
    assert "at least one permission" in page.content.decode()
    page = anna.post(f"/sharing/links/{link.pk}/end/", follow=True)
    assert "carl can no longer see your data." in page.content.decode()
    assert api("carl").get("/api/device/", user="anna").status_code == 404


# Who looked, and what was done


def test_who_looked_at_what_goes_on_now_is_in_words(world):
    CareLink.objects.filter(caregiver=world.carl).update(may_see_history=False)
    browser_of(world, "carl").get("/people/anna/")
    page = browser_of(world, "anna").get("/sharing/looks/").content.decode()
    assert "Your live status" in page


@pytest.mark.parametrize("zone", ["US/Gone", "localtime"])
def test_a_zone_that_this_machine_knows_no_longer_is_read_as_utc(world, api, zone):
    Person.objects.filter(pk=world.anna.pk).update(timezone=zone)
    browser = browser_of(world, "anna")
    for page in (
        "/",
        "/account/",
        "/sharing/",
        "/sharing/log/",
        "/sharing/looks/",
        "/devices/",
        "/alerts/",
    ):
        assert browser.get(page).status_code == 200
    asked = {"from": "2026-11-01T00:00"}
    assert api("anna").get("/api/session/history/", **asked).status_code == 200


def test_who_looked_is_on_a_page_of_its_own_page_by_page(world):
    AccessLog.objects.bulk_create(
        AccessLog(person=world.anna, viewer=world.carl, viewer_name="carl", what=f"look {n}")
        for n in range(SIZE + 1)
    )
    anna = browser_of(world, "anna")
    first = anna.get("/sharing/looks/").content.decode()
    assert first.count("<td") == 2 * SIZE
    assert 'href="?page=2"' in first
    second = anna.get("/sharing/looks/?page=2").content.decode()
    assert second.count("<td") == 2
    for odd in ("0", "-1", "x", "9" * 30, "٣"):
        assert anna.get("/sharing/looks/", {"page": odd}).status_code == 200
    assert "carl" not in browser_of(world, "otto").get("/sharing/looks/").content.decode()


def test_looking_at_somebodys_devices_is_a_look(world, api):
    api("carl").get("/api/device/", user="anna")
    note_look(world.carl, world.anna, "something new")
    page = browser_of(world, "anna").get("/sharing/looks/").content.decode()
    assert "Your devices" in page
    assert "something new" in page


def test_what_was_done_is_read_by_those_whom_it_is_about(world, api):
    code = invite(api, "live")["code"]
    link = accept(api, "otto", code).json()["id"]
    api("anna")("PATCH", f"/api/links/{link}/", {"permissions": ["history"]})
    api("otto")("DELETE", f"/api/links/{link}/")
    for who in ("anna", "otto"):
        events = [each["event"] for each in api(who).get("/api/audit-log/").json()["results"]]
        assert {"link_accepted", "link_ended"} <= set(events)
    assert "link_changed" in str(api("anna").get("/api/audit-log/").json())
    assert api("carl").get("/api/audit-log/").json()["results"] == []
    assert code not in str(AuditEntry.objects.values())
    page = browser_of(world, "otto").get("/sharing/log/").content.decode()
    assert "Sharing ended" in page


def test_codes_and_guesses_that_are_over_are_forgotten(world, api):
    code = invite(api, "live")["code"]
    Api()("POST", "/api/device/claim/", {"code": WRONG})
    sharing.invite(world.anna, ["live"])
    assert tidy(timezone.now()) == {
        "codes": 0,
        "requests for access": 0,
        "tokens": 0,
        "links to the page for the doctor": 0,
        "failed logins": 0,
        "unfinished two-factor set-ups": 0,
    }
    gone = tidy(timezone.now() + timedelta(days=38))
    assert (gone["codes"], gone["failed logins"]) == (2, 3)
    assert sharing.find(code) is None
    assert not ClaimCode.objects.exists()
