"""Devices: seen, renamed, renewed, shut out and given away; and what an institution's admin may."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from server.care.models import AuditEntry, CareLink, Institution, Membership, Person
from server.common.mqtt import BrokerError
from server.devices import credentials
from server.devices.claim import make_code
from server.devices.models import ClaimCode, Device, DeviceToken
from server.devices.reasons import WHOLE
from server.operations import cli
from server.session_data import accept, dead_letters
from server.session_data.accept import accept_session
from server.session_data.dead_letters import keep_dead_letter
from server.session_data.models import SessionData
from tests.server.conftest import PASSWORD, Api, golden
from tests.server.session_data.test_accept_races import in_threads


def browser_of(name):
    browser = Client()
    browser.force_login(Person.objects.get(username=name))
    return browser


@pytest.fixture
def address(everybody):
    return f"/api/device/{everybody.device.pk}/"


# Seeing


def test_a_device_is_shown_with_what_it_last_said(everybody, api, address):
    seen = timezone.now().replace(microsecond=0)
    said = {"online": True, "last_seen_at": seen, "agent_version": "0.1", "pending_sessions": 3}
    Device.objects.filter(pk=everybody.device.pk).update(**said)
    told = api("anna").get(address).json()
    assert (told["online"], told["agent_version"], told["pending_sessions"]) == (True, "0.1", 3)
    assert told["last_seen_at"] == f"{seen:%Y-%m-%dT%H:%M:%SZ}"
    (presence,) = api("liv").get("/api/device/", user="anna").json()["results"]
    assert set(presence) == {"id", "label", "user", "online", "last_seen_at", "revoked"}
    (named,) = api("conny").get("/api/device/", user="anna").json()["results"]
    assert (named["label"], named["online"], named["last_seen_at"]) == ("Kitchen", None, None)
    page = browser_of("anna").get(f"/devices/{everybody.device.pk}/").content.decode()
    assert "connected" in page
    assert everybody.tokens["device"][:12] not in page


def test_why_a_document_was_refused_is_told_without_the_document(everybody, api, address):
    reason = "coverage: expected at most 1, found 1.25; fps: expected a number, found 'x'"
    payload = b'{"ear_mean": 0.291}'
    keep_dead_letter("http", str(everybody.device.pk), everybody.device, reason, payload)
    (told,) = api("anna").get(address + "refused/").json()["results"]
    assert told["reason"] == reason
    (told,) = api("irma").get(address + "refused/").json()["results"]
    assert told["reason"] == "coverage: expected at most 1; fps: expected a number"
    page = browser_of("anna").get(f"/devices/{everybody.device.pk}/").content.decode()
    assert "found 1.25" in page
    assert "0.291" not in page
    Person.objects.filter(username="anna").update(language="de")
    german = browser_of("anna").get(f"/devices/{everybody.device.pk}/").content.decode()
    assert "Das Dokument ist nicht so, wie der Server es erwartet." in german
    assert '<code lang="en">coverage: expected at most 1, found 1.25;' in german


def test_every_reason_that_is_a_sentence_is_one_that_the_server_gives():
    given = {dead_letters.UNKNOWN, dead_letters.NO_ACCOUNT, accept.NOT_YOURS, accept.NOT_MEASURED}
    assert given <= WHOLE.keys()
    code = Path(dead_letters.__file__).read_text()
    assert all(text in code for text in WHOLE.keys() - given)


def test_the_page_of_devices_shows_ones_own_and_those_one_may_see_live(everybody):
    labels = {
        name: ">Kitchen<" in browser_of(name).get("/devices/").content.decode()
        for name in ("anna", "carl", "liv", "hana", "conny", "alma", "ella", "otto", "irma")
    }
    assert {name for name, shown in labels.items() if shown} == {"anna", "carl", "liv"}


# Changing


def test_a_device_is_renamed(everybody, api, address):
    assert api("anna")("PATCH", address, {"label": " Attic "}).json()["label"] == "Attic"
    for odd in ({}, {"label": ""}, {"label": "x" * 65}, {"label": "a\nb"}, {"label": None}, []):
        assert api("anna")("PATCH", address, odd).status_code == 400
    everybody.device.refresh_from_db()
    assert everybody.device.label == "Attic"
    assert AuditEntry.objects.get(event="device_renamed").detail == "Kitchen → Attic"


def test_a_renewed_token_works_beside_the_one_before(everybody, api, address):
    told = api("anna")("POST", address + "rotate/").json()
    assert told["mqtt_password"] is None
    for token in (told["token"], everybody.tokens["device"]):
        assert Api(token)("POST", "/api/session/start/", golden("started")).status_code == 201
    page = (
        browser_of("anna")
        .post(f"/devices/{everybody.device.pk}/rotate/", follow=True)
        .content.decode()
    )
    assert "bld_" in page
    assert DeviceToken.live(everybody.device).count() == 2


def test_a_device_that_is_shut_out_is_so_with_its_next_request(everybody, api, address):
    assert api("anna")("DELETE", address).status_code == 204
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 401
    assert api("anna").get(address).json()["revoked"] is True
    assert api("anna")("POST", address + "rotate/").status_code == 400
    assert api("anna")("DELETE", address).status_code == 204  # it is, already
    assert AuditEntry.objects.filter(event="device_revoked").count() == 1


def test_while_the_broker_is_away_a_device_is_shut_out_here_even_so(
    everybody, api, address, monkeypatch
):
    def away(device):
        raise BrokerError("is away")

    monkeypatch.setattr(credentials, "delete_broker_account", away)
    monkeypatch.setattr(credentials, "create_broker_account", away)
    told = api("anna")("POST", address + "rotate/")
    assert told.status_code == 503
    assert "may have deleted the device's identity: try again" in told.json()["detail"]
    page = browser_of("anna").post(f"/devices/{everybody.device.pk}/rotate/", follow=True)
    assert "The device may no longer be able to use MQTT: please try again." in page.text
    assert DeviceToken.live(everybody.device).count() == 1
    assert api("anna")("DELETE", address).status_code == 503
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 401
    page = browser_of("anna").post(f"/devices/{everybody.device.pk}/revoke/", follow=True)
    assert "Please try again" in page.content.decode()


# Giving away


def given_to_otto(everybody, api, address):
    """Anna's device becomes Otto's, by a code of his."""
    code = make_code(everybody.otto, "Otto's second", everybody.otto)[1]
    answer = api("anna")("POST", address + "reassign/", {"code": code})
    assert answer.status_code == 204, answer.content
    return Device.objects.select_related("person").get(pk=everybody.device.pk)


def at(document, moment):
    """The same, begun and ended then."""
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return document | {"started_at": text, "ended_at": document["ended_at"] and text}


def test_the_past_stays_with_whom_it_was_measured_from(everybody, api, address):
    past, live, late = golden("final"), golden("started"), golden("final")
    now = timezone.now()
    for document in (past, live):
        accept_session(everybody.device, at(document, now - timedelta(hours=1)))
    device = given_to_otto(everybody, api, address)
    assert device.person == everybody.otto
    # What still comes of before: a session under way, and one that waited on the device.
    ended = golden("final", session_id=live["session_id"])
    assert accept_session(device, at(ended, now - timedelta(hours=1))).outcome == "rejected"
    assert accept_session(device, at(late, now - timedelta(minutes=5))).outcome == "rejected"
    new = golden("final")
    assert accept_session(device, at(new, now + timedelta(seconds=5))).outcome == "stored"
    owners = {str(s.pk): s.user.username for s in SessionData.objects.select_related("user")}
    assert owners == {
        past["session_id"]: "anna",
        live["session_id"]: "anna",
        new["session_id"]: "otto",
    }
    assert api("anna").get(address).status_code == 404
    assert api("otto").get(f"/api/session/{past['session_id']}/").status_code == 404
    for who in ("anna", "otto"):
        assert "device_reassigned" in str(api(who).get("/api/audit-log/").json())


def test_what_was_measured_for_an_account_that_is_gone_becomes_nobodys(everybody, api, address):
    device = given_to_otto(everybody, api, address)
    everybody.anna.delete()
    late = at(golden("final"), timezone.now() - timedelta(minutes=5))
    assert accept_session(device, late).outcome == "rejected"
    assert not SessionData.objects.exists()


def test_why_documents_of_the_former_person_were_refused_is_not_for_the_next(
    everybody, api, address
):
    keep_dead_letter("http", str(everybody.device.pk), everybody.device, "Anna's", b"{}")
    device = given_to_otto(everybody, api, address)
    everybody.tokens["device"] = credentials.issue(device)["token"]
    late = at(golden("final"), timezone.now() - timedelta(minutes=5)) | {"revision": -1}
    assert api("device")("POST", "/api/session/start/", late).status_code == 400
    assert api("otto").get(address + "refused/").json()["results"] == []
    assert api("device")("POST", "/api/session/start/", {"note": "Otto's"}).status_code == 400
    assert len(api("otto").get(address + "refused/").json()["results"]) == 1


def test_a_device_is_given_to_nobody_who_has_not_agreed(everybody, api, address):
    own = make_code(everybody.anna, "mine", everybody.anna)[1]
    bodies = [{"code": "AAAA2222"}, {"code": own}, {}, {"code": "x", "user": "otto"}]
    for body in bodies:
        assert api("anna")("POST", address + "reassign/", body).status_code == 400
    assert api("anna")("POST", address + "reassign/", {"user": "otto"}).status_code == 404
    assert ClaimCode.find(own)  # it was good for nothing, and is as good as before
    everybody.device.refresh_from_db()
    assert everybody.device.person == everybody.anna


def test_the_page_gives_it_away_too(everybody):
    code = make_code(everybody.otto, "Bedroom", everybody.otto)[1]
    browser, page = browser_of("anna"), f"/devices/{everybody.device.pk}/give/"
    assert "expired or already used" in browser.post(page, {"code": "AAAA2222"}).content.decode()
    assert browser.post(page, {"code": code})["Location"] == "/devices/"
    everybody.device.refresh_from_db()
    assert everybody.device.person == everybody.otto


@pytest.mark.django_db(transaction=True)
def test_a_code_is_either_for_a_new_box_or_for_one_that_is_given(transactional_db, everybody, api):
    address = f"/api/device/{everybody.device.pk}/reassign/"
    for _ in range(3):
        Device.objects.filter(pk=everybody.device.pk).update(person=everybody.anna)
        before = Device.objects.count()
        code = make_code(everybody.otto, "Raced", everybody.otto)[1]
        claims = [lambda c=code: Api()("POST", "/api/device/claim/", {"code": c}).status_code] * 3
        gives = [lambda c=code: api("anna")("POST", address, {"code": c}).status_code] * 3
        answers = in_threads([*claims, *gives])
        # Of a device that is Otto's already, Anna knows nothing.
        assert answers.count(400) + answers.count(404) == 5, answers
        assert {201, 204} & set(answers)
        given = Device.objects.get(pk=everybody.device.pk).person == everybody.otto
        assert (Device.objects.count() - before) + given == 1


# Institutions


def test_an_admin_makes_an_account_that_only_its_person_opens(everybody, api):
    irma = browser_of("irma")
    page = irma.post("/institution/", {"username": "nora", "name": "Nora"}, follow=True)
    code = page.context["code"]
    nora = Person.objects.get(username="nora")
    assert not nora.has_usable_password()
    assert nora.membership.institution == Institution.objects.get()
    stranger = Client()
    assert stranger.post("/join/", {"code": code})["Location"] == "/join/account/"
    assert "nora" in stranger.get("/join/account/").content.decode()
    bad = stranger.post("/join/account/", {"password": "12345678", "again": "12345678"})
    assert bad.status_code == 200
    fields = {"password": PASSWORD, "again": PASSWORD}
    assert stranger.post("/join/account/", fields)["Location"] == "/"
    assert stranger.get("/account/").status_code == 200
    assert Client().post("/join/", {"code": code}).status_code == 200  # it worked once
    refused = irma.post("/institution/people/nora/code/", follow=True).content.decode()
    assert "in use" in refused
    assert api("irma").get("/api/session/history/", user="nora").status_code == 404


def test_of_two_codes_for_an_account_only_the_last_works(everybody):
    irma = browser_of("irma")
    first, second = (
        irma.post("/institution/people/mia/code/", follow=True).context["code"] for _ in range(2)
    )
    assert "Location" not in Client().post("/join/", {"code": first})
    assert Client().post("/join/", {"code": second})["Location"] == "/join/account/"


@pytest.mark.parametrize("username", ["anna", "a b", "", "a\x00b"])
def test_an_account_that_may_not_be_is_not_made_by_an_admin(everybody, username):
    before = Person.objects.count()
    page = browser_of("irma").post("/institution/", {"username": username, "name": "x"})
    assert (page.status_code, Person.objects.count()) == (200, before)
    assert 'role="alert"' in page.content.decode()


def test_an_admin_ends_links_and_devices_of_members_and_that_is_in_both_logs(everybody, api):
    irma = browser_of("irma")
    link = CareLink.objects.get(caregiver=everybody.carl, ended_at=None)
    irma.post(f"/institution/people/anna/links/{link.pk}/end/")
    assert api("carl").get("/api/session/history/", user="anna").status_code == 404
    irma.post(f"/devices/{everybody.device.pk}/revoke/")
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 401
    told = str(api("anna").get("/api/audit-log/").json())
    log = irma.get("/institution/log/").content.decode()
    for event, words in (("link_ended", "Sharing ended"), ("device_revoked", "Device blocked")):
        assert event in told
        assert words in log


def test_an_admins_log_has_only_what_was_done_in_the_administration(everybody, api):
    api("anna")("POST", "/api/invitations/", {"permissions": ["live"], "name": "secret friend"})
    browser_of("irma").post("/devices/codes/for/anna/", {"label": "Hall"})
    log = browser_of("irma").get("/institution/log/").content.decode()
    assert "Hall" in log
    assert "secret friend" not in log


def test_an_admin_of_another_institution_is_an_outsider(everybody, api, address):
    other = Institution.objects.create(name="Other")
    Membership.objects.create(institution=other, person=everybody.otto, role="admin")
    assert api("otto").get(address).status_code == 404
    assert browser_of("otto").get("/institution/people/anna/").status_code == 404


def test_who_is_an_admin_no_more_is_so_with_the_next_request(everybody, api, address):
    assert api("irma").get(address).status_code == 200
    Membership.objects.filter(person__username="irma").update(role="member")
    assert api("irma").get(address).status_code == 404
    assert browser_of("irma").get("/institution/").status_code == 404


def test_the_operator_makes_institutions(world, monkeypatch, capsys):
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    line = ["institution", "Haus am See", "--admin", "otto", "--member", "anna", "--json"]
    assert cli.main(line) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"institution": "Haus am See", "members": {"anna": "member", "otto": "admin"}}
    assert cli.main(["institution", "Other", "--member", "anna"]) == 1  # to one at most
    assert not Institution.objects.filter(name="Other").exists()
    assert cli.main(["institution", "Haus am See", "--remove", "anna"]) == 0
    assert Membership.objects.get().person == world.otto


# In the admin site


@pytest.fixture
def root(everybody):
    Person.objects.create_superuser("root", timezone="UTC")
    return browser_of("root")


def admin_page(everybody):
    return f"/admin/devices/device/{everybody.device.pk}/change/"


def test_what_waits_on_a_device_that_is_reassigned_there_is_not_its_next_persons(everybody, root):
    form = {"person": everybody.otto.pk, "label": "Kitchen"}
    assert root.post(admin_page(everybody), form).status_code == 302
    device = Device.objects.get(pk=everybody.device.pk)
    waited = at(golden("final"), timezone.now() - timedelta(hours=1))
    assert accept_session(device, waited).outcome == "rejected"
    assert (device.person, SessionData.objects.count()) == (everybody.otto, 0)
    told = AuditEntry.objects.filter(event="device_reassigned").values_list("subject_name")
    assert {name for (name,) in told} == {"anna", "otto"}


def test_a_page_that_was_open_before_revives_nothing(everybody, root):
    before = {
        "person": everybody.otto.pk, "label": "Attic", "revoked_at_0": "", "revoked_at_1": "",
    }  # fmt: skip
    listed = {"action": "revoke", "_selected_action": [everybody.device.pk]}
    assert root.post("/admin/devices/device/", listed).status_code == 302
    assert root.post(admin_page(everybody), before).status_code == 302
    device = Device.objects.get(pk=everybody.device.pk)
    assert (device.label, device.person) == ("Attic", everybody.anna)
    assert device.revoked_at is not None
    assert AuditEntry.objects.filter(event="device_revoked", actor_name="root").count() == 1
    token = DeviceToken.find(everybody.tokens["device"])
    token.revoke()
    page = f"/admin/devices/devicetoken/{token.pk}/change/"
    assert root.post(page, {"revoked_at_0": "", "revoked_at_1": ""}).status_code == 302
    assert DeviceToken.find(everybody.tokens["device"]) is None


def test_a_name_that_no_device_may_have_is_refused_there_too(everybody, root):
    form = {"person": everybody.anna.pk, "label": "Kit\u200bchen"}
    assert "Enter a name on one line" in root.post(admin_page(everybody), form).content.decode()


def test_while_the_broker_is_away_a_device_is_shut_out_here_from_there_too(
    everybody, root, monkeypatch
):
    def away(device):
        raise BrokerError("is away")

    monkeypatch.setattr(credentials, "delete_broker_account", away)
    listed = {"action": "revoke", "_selected_action": [everybody.device.pk]}
    page = root.post("/admin/devices/device/", listed, follow=True).content.decode()
    assert "still has its account at the broker" in page
    assert Device.objects.get(pk=everybody.device.pk).revoked_at is not None
