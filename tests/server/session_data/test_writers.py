"""A session belongs to the device and the person it was measured from: nobody else writes or buries
it. Real requests with the tokens of both."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from agent.transport import base
from server.care.models import Person
from server.common.fields import instant_text
from server.devices.credentials import issue
from server.devices.manage import reassign
from server.devices.models import DeadLetter, Device, FormerPerson
from server.session_data.dead_letters import retry
from server.session_data.models import SessionData, Tombstone
from server.session_data.tombstones import DELETED
from tests.server.conftest import PASSWORD, Api, golden

START = "/api/session/start/"


def address(document, end=""):
    return f"/api/session/{document['session_id']}/{end}"


def begun(document, ago, **clock):
    """The same, begun so long ago by a clock that is set."""
    moment = instant_text(timezone.now() - ago)
    changes = {"started_at": moment, "ended_at": document["ended_at"] and moment}
    return document | changes | {"clock": document["clock"] | {"synchronized": True} | clock}


def delete(person, document):
    """As that person's page does it."""
    browser = Client()
    browser.force_login(person)
    page = f"/account/data/delete/session/{document['session_id']}/"
    assert browser.post(page, {"password": PASSWORD}).status_code == 302


# After a change of owner


HOUR = timedelta(hours=1)


@pytest.fixture
def before(world, api):
    """Two sessions of Anna's from before her device was Otto's: one over, one under way."""
    documents = [begun(golden(name), HOUR) for name in ("final", "started")]
    for document in documents:
        assert api("device")("PUT", address(document), document).status_code == 201
    return documents


@pytest.fixture
def next_device(world, before):
    """The same device with credentials that Otto made."""
    reassign(world.anna, world.device, world.otto)
    return Api(issue(Device.objects.get(pk=world.device.pk))["token"])


def test_the_next_persons_token_does_not_change_the_formers_past(world, before, next_device):
    kept = dict(SessionData.objects.values_list("pk", "document_json"))
    for document in before:
        final = begun(golden("final"), HOUR) | {"session_id": document["session_id"]}
        final["revision"] = 99
        for answer in (
            next_device("PUT", address(document), final),
            next_device("PATCH", address(document), {"revision": 99, "metrics": {"perclos": 1}}),
            next_device("POST", address(document, "end/"), final),
            next_device("POST", START, final),
        ):
            assert (answer.status_code, answer.json()["outcome"]) == (404, "rejected")
    assert dict(SessionData.objects.values_list("pk", "document_json")) == kept


def test_the_next_persons_token_adds_nothing_to_the_formers_past(world, before, next_device):
    answer = next_device("POST", START, begun(golden("final"), HOUR))
    assert (answer.status_code, answer.json()["outcome"]) == (400, "rejected")
    assert "before the device was assigned" in answer.json()["reason"]
    assert SessionData.objects.filter(user=world.anna).count() == len(before)
    new = begun(golden("started"), -timedelta(seconds=5))
    assert next_device("POST", START, new).status_code == 201
    assert SessionData.objects.get(pk=new["session_id"]).user == world.otto


def test_what_the_next_person_sent_of_the_formers_past_is_not_taken_later_either(
    world, before, next_device
):
    next_device("POST", START, begun(golden("final"), HOUR))
    assert retry(DeadLetter.objects.get()).outcome == "rejected"
    assert SessionData.objects.count() == len(before)


def test_a_device_that_comes_back_goes_on_with_its_persons_past(world, before, next_device):
    """What waited on it is sent then."""
    device = Device.objects.select_related("person").get(pk=world.device.pk)
    reassign(world.otto, device, world.anna)
    token = Api(issue(device)["token"])
    waited = begun(golden("final"), HOUR)
    assert token("POST", START, waited).status_code == 201
    assert SessionData.objects.get(pk=waited["session_id"]).user == world.anna
    former = FormerPerson.objects.get(person=world.otto)
    FormerPerson.objects.filter(person=world.anna).update(until=former.until - HOUR)
    others = begun(golden("final"), HOUR / 2)  # while it was Otto's
    assert token("POST", START, others).status_code == 400


# After a device was deleted


def test_a_session_whose_device_is_deleted_is_nobodys_to_write(world, api):
    document = golden("final")
    api("device")("PUT", address(document), document)
    root = Client()
    root.force_login(Person.objects.create_superuser("root", timezone="UTC"))
    root.post(f"/admin/devices/device/{world.device.pk}/delete/", {"post": "yes"})
    assert SessionData.objects.get().device is None
    forged = document | {"revision": 99, "metrics": {"blink_count": 1}}
    for who, status in (("anna", 403), ("carl", 403), ("otto", 404), ("other device", 404)):
        for method, end in (("PUT", ""), ("PATCH", ""), ("POST", "end/")):
            assert api(who)(method, address(document, end), forged).status_code == status
    assert SessionData.objects.get().document == document


def test_a_person_goes_on_writing_what_they_began_themselves(world, api):
    session = api("anna")("POST", START, {}).json()
    path = f"/api/session/{session['id']}/"
    assert api("anna")("PATCH", path, {"metrics": {"blink_count": 3}}).status_code == 200


# Tombstones


def test_a_deleted_session_stays_deleted_for_its_own_device(world, api):
    document = golden("started")
    api("device")("POST", START, document)
    delete(world.anna, document)
    final = golden("final", session_id=document["session_id"])
    answer = api("device")("PUT", address(document), final)
    assert (answer.json()["outcome"], answer.json()["reason"]) == ("stale", DELETED)
    assert not SessionData.objects.exists()


def test_somebody_elses_tombstone_is_no_acknowledgement(world, api):
    """Otto's device takes the id first, and he deletes it there: Anna's session is stored."""
    document = golden("final")
    api("other device")("PUT", address(document), document)
    answer = api("device")("PUT", address(document), document)
    assert answer.json()["outcome"] == "rejected"
    delete(world.otto, document)
    answer = api("device")("PUT", address(document), document)
    assert (answer.status_code, answer.json()["outcome"]) == (201, "stored")
    assert SessionData.objects.get().user == world.anna
    assert api("other device")("PUT", address(document), document).json()["outcome"] == "stale"
    delete(world.anna, document)
    assert api("device")("PUT", address(document), document).json()["outcome"] == "stale"


def test_what_was_deleted_does_not_become_the_next_persons(world, api):
    """A date that may be wrong says nothing of whom the device measured."""
    document = begun(golden("started"), HOUR, synchronized=False)
    api("device")("POST", START, document)
    delete(world.anna, document)
    reassign(world.anna, world.device, world.otto)
    token = Api(issue(Device.objects.get(pk=world.device.pk))["token"])
    again = begun(golden("final"), HOUR, synchronized=False)
    again["session_id"] = document["session_id"]
    assert token("PUT", address(document), again).json()["outcome"] == "stale"
    assert not SessionData.objects.exists()


def test_a_tombstone_names_neither_session_nor_person(world, api):
    document = golden("final")
    api("device")("PUT", address(document), document)
    delete(world.anna, document)
    marks = set(Tombstone.objects.values_list("pk", flat=True))
    assert not marks & {uuid.UUID(document["session_id"]), world.device.pk}


def test_a_tombstone_from_before_owners_were_noted_holds_for_everybody(world, api):
    document = golden("final")
    Tombstone.objects.create(pk=document["session_id"])
    for who in ("device", "other device"):
        assert api(who)("PUT", address(document), document).json()["outcome"] == "stale"


def test_a_device_knows_the_reason_by_its_words():
    assert DELETED == base.DELETED
