"""A change of owner ends everything that opens a device, and nobody takes over somebody else's."""

import html
import json
import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from server.care.models import Person
from server.common.codes import NotACodeError
from server.common.mqtt import BrokerError, Message
from server.devices import credentials, manage
from server.devices.claim import make_code
from server.devices.models import DeadLetter, Device, DeviceToken
from server.ingest.batches import take
from server.session_data.commands.ask import NotConnectedError, ask
from server.session_data.models import SessionData
from tests.server.conftest import golden

START = "/api/session/start/"


def browser_of(name):
    browser = Client()
    browser.force_login(Person.objects.get(username=name))
    return browser


def by_code(world, api):
    code = make_code(world.otto, "Otto's second", world.otto)[1]
    return api("anna")("POST", f"/api/device/{world.device.pk}/reassign/", {"code": code})


def by_page(world, api):
    code = make_code(world.otto, "Otto's second", world.otto)[1]
    return browser_of("anna").post(f"/devices/{world.device.pk}/give/", {"code": code})


def by_institution(world, api):
    body = {"user": "carl"}
    return api("irma")("POST", f"/api/device/{world.device.pk}/reassign/", body)


def by_institutions_page(world, api):
    return browser_of("irma").post(f"/devices/{world.device.pk}/give/", {"code": "carl"})


def by_admin_site(world, api):
    Person.objects.create_superuser("root", timezone="UTC")
    form = {"person": world.otto.pk, "label": "Kitchen"}
    page = f"/admin/devices/device/{world.device.pk}/change/"
    return browser_of("root").post(page, form)


WAYS = [by_code, by_page, by_institution, by_institutions_page, by_admin_site]


@pytest.mark.parametrize("way", WAYS)
def test_however_a_device_gets_another_owner_its_tokens_end(everybody, api, way):
    second = DeviceToken.issue(everybody.device)
    assert api("device")("POST", START, golden("started")).status_code == 201
    assert way(everybody, api).status_code in (204, 302)
    device = Device.objects.get(pk=everybody.device.pk)
    assert device.person.username in ("otto", "carl")
    assert not DeviceToken.live(device).exists()
    assert DeviceToken.find(second) is None
    assert api("device")("POST", START, golden("started")).status_code == 401
    assert (device.online, device.pending_sessions) == (None, None)
    who = device.person.username
    assert "Renew credentials</a>" in browser_of(who).get(f"/devices/{device.pk}/").content.decode()
    told = api(who)("POST", f"/api/device/{device.pk}/rotate/").json()
    everybody.tokens["renewed"] = told["token"]
    new = golden("started", started_at=f"{timezone.now() + timedelta(seconds=5):%FT%TZ}")
    assert api("renewed")("POST", START, new).status_code == 201
    assert SessionData.objects.get(pk=new["session_id"]).user == device.person


# While the broker is away, the account there stays: the server must not listen to it


@pytest.fixture
def away(monkeypatch):
    def fail(*_):
        raise BrokerError("can't be reached")

    monkeypatch.setattr(credentials, "delete_broker_account", fail)


def by_mqtt(device, document, kind="sessions"):
    topic = f"blinklog/1/devices/{device.pk}/{kind}"
    return take([Message(topic, json.dumps(document).encode(), False, None, 1, 1)])


def test_the_former_owners_connection_is_not_listened_to(everybody, api, away):
    assert by_code(everybody, api).status_code == 204
    late = golden("final", started_at=f"{timezone.now() + timedelta(seconds=5):%FT%TZ}")
    late["ended_at"] = late["started_at"]
    assert by_mqtt(everybody.device, late) == [None]
    by_mqtt(everybody.device, {"online": True}, "status")
    assert Device.objects.get(pk=everybody.device.pk).online is None
    assert not SessionData.objects.exists()
    assert not DeadLetter.objects.exists()  # which a retry would make Otto's
    credentials.issue(Device.objects.get(pk=everybody.device.pk))
    assert by_mqtt(everybody.device, late)[0].outcome == "stored"


def test_the_former_owners_connection_hears_no_commands(everybody, api, away, monkeypatch):
    assert by_code(everybody, api).status_code == 204
    device = Device.objects.get(pk=everybody.device.pk)
    with pytest.raises(NotConnectedError, match="needs new credentials"):
        ask(everybody.otto, device, "start", uuid.uuid4())


def test_credentials_that_are_being_made_for_the_former_owner_are_told_to_nobody(
    everybody, monkeypatch
):
    """The device is given away while the broker makes its account."""
    deleted = []

    def meanwhile(device):
        other = Device.objects.select_related("person").get(pk=device.pk)
        manage.reassign(everybody.anna, other, everybody.otto)
        return "a password"

    monkeypatch.setattr(credentials, "create_broker_account", meanwhile)
    monkeypatch.setattr(credentials, "delete_broker_account", deleted.append)
    with pytest.raises(ValidationError, match="in the meantime"):
        manage.rotate(everybody.anna, everybody.device)
    assert not DeviceToken.live(everybody.device).exists()
    assert deleted == [everybody.device] * 2  # by the change of owner, and what was made after it
    assert Device.objects.get(pk=everybody.device.pk).credentials_ended


def test_an_account_without_a_device_does_not_stay_at_the_broker(world, monkeypatch):
    deleted = []
    monkeypatch.setattr(credentials, "create_broker_account", lambda device: "a password")
    monkeypatch.setattr(credentials, "delete_broker_account", deleted.append)
    code = make_code(world.anna, "Attic", world.anna)[0]
    code.use()
    device = Device(person=world.anna, label="Attic")
    with pytest.raises(NotACodeError):
        credentials.issue(device, code)
    assert deleted == [device]


# Taking over


def test_an_institutions_admin_does_not_take_a_members_device(everybody, api):
    address = f"/api/device/{everybody.device.pk}/reassign/"
    own = make_code(Person.objects.get(username="irma"), "Irma's", None)[1]
    for body in ({"user": "irma"}, {"code": own}):
        answer = api("irma")("POST", address, body)
        assert (answer.status_code, "to yourself" in answer.json()["detail"]) == (400, True)
    page = browser_of("irma").post(f"/devices/{everybody.device.pk}/give/", {"code": "irma"})
    assert "to yourself" in html.unescape(page.content.decode())
    device = Device.objects.get(pk=everybody.device.pk)
    assert (device.person, device.reassigned_at) == (everybody.anna, None)
    assert api("device")("POST", START, golden("started")).status_code == 201


def test_nor_does_whoever_works_in_the_admin_site(everybody):
    root = Person.objects.create_superuser("root", timezone="UTC")
    form = {"person": root.pk, "label": "Attic"}
    page = browser_of("root").post(f"/admin/devices/device/{everybody.device.pk}/change/", form)
    assert "to yourself" in html.unescape(page.content.decode())
    device = Device.objects.get(pk=everybody.device.pk)
    assert (device.person, device.label) == (everybody.anna, "Kitchen")
