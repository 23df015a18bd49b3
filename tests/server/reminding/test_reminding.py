"""Who may set when a device reminds, what the device is told, and what is usual for a person."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from agent.records import DeviceSettings as OfAgent
from server.care.models import AuditEntry, Person
from server.common.mqtt import BrokerError
from server.devices import manage
from server.devices.claim import claim, make_code
from server.devices.models import Device
from server.reminding import publishing
from server.reminding.choose import choose
from server.reminding.models import DeviceSettings, Mode, Reminding
from server.reminding.publishing import SettingsPublisher
from server.reminding.told import message_of, settings_of
from server.reminding.usual import compute_all, rates_of, usual_low
from tests.server.conftest import Api
from tests.server.session_data.exports import session, store

PATH = "/api/device/settings/"


def browser(name):
    client = Client(raise_request_exception=False)
    if name != "nobody":
        client.force_login(Person.objects.get(username=name))
    return client


def page(device):
    return f"/devices/{device.pk}/reminding/"


def fresh(device):
    return Device.objects.select_related("person").get(pk=device.pk)


def told(device):
    return message_of(settings_of(fresh(device)))["reminding"]


# The page


@pytest.mark.parametrize("name", ["anna", "irma"])
def test_the_person_and_who_manages_the_device_set_it(everybody, name):
    client, where = browser(name), page(everybody.device)
    assert client.get(where).status_code == 200
    answer = client.post(where, {"mode": "fixed", "below_per_min": "8.04"}, follow=True)
    assert "Saved." in answer.content.decode()
    assert told(everybody.device) == {"below_per_min": 8.0}
    entry = AuditEntry.objects.get(event="reminding_changed")
    assert (entry.actor_name, entry.subject_name) == (name, "anna")
    assert entry.detail == "below 8.0 a minute"
    assert (entry.institution is not None) is (name == "irma")


@pytest.mark.parametrize(
    ("name", "status"),
    [*((each, 404) for each in ("carl", "otto", "liv", "conny", "hana")), ("nobody", 302)],
)
def test_nobody_else_sees_or_sets_it(everybody, name, status):
    client, where = browser(name), page(everybody.device)
    assert client.get(where).status_code == status
    assert client.post(where, {"mode": "own"}).status_code == status
    assert not Reminding.objects.exists()
    assert not AuditEntry.objects.filter(event="reminding_changed").exists()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"mode": "fixed"}, "Enter a number."),
        ({"mode": "fixed", "below_per_min": "0.5"}, "greater than or equal to 1"),
        ({"mode": "fixed", "below_per_min": "31"}, "less than or equal to 30"),
        ({"mode": "fixed", "below_per_min": "nan"}, "Enter a number."),
        ({"mode": "always"}, "Select a valid choice"),
        ({}, "This field is required"),
    ],
)
def test_bad_input_is_answered_at_its_field_and_changes_nothing(world, given, problem):
    answer = browser("anna").post(page(world.device), given)
    assert problem in answer.content.decode()
    assert not Reminding.objects.exists()


def test_a_blocked_device_has_no_reminders_to_set(world):
    Device.objects.filter(pk=world.device.pk).update(revoked_at=timezone.now())
    assert browser("anna").get(page(world.device)).status_code == 404


def test_the_number_is_written_as_the_reader_writes_it(world):
    client = browser("anna")
    headers = {"Accept-Language": "de"}
    client.post(page(world.device), {"mode": "fixed", "below_per_min": "8,5"}, headers=headers)
    assert told(world.device) == {"below_per_min": 8.5}
    assert 'value="8,5"' in client.get(page(world.device), headers=headers).content.decode()


def test_only_the_person_sees_what_is_usual_for_them(everybody):
    Reminding.objects.create(person=everybody.anna, mode=Mode.OWN, own_per_min=9.7)
    assert "Now it is 9.7 blinks" in browser("anna").get(page(everybody.device)).content.decode()
    assert "9.7" not in browser("irma").get(page(everybody.device)).content.decode()


def test_saving_the_same_again_is_not_noted(world):
    for _ in range(2):
        choose(world.anna, world.anna, Mode.FIXED, 8.0)
    assert AuditEntry.objects.get(event="reminding_changed").count == 1


# What the device is told


def test_a_device_is_told_its_persons_choice_until_that_changes(world, api):
    device = api("device")
    first = device.get(PATH)
    assert first.json() | {"version": 0} == {
        "version": 0, "device": str(world.device.pk), "reminding": None,
    }  # fmt: skip
    same = device.client.get(PATH, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    choose(world.anna, world.anna, Mode.FIXED, 8.0)
    second = device.client.get(PATH, headers={"If-None-Match": first.headers["ETag"]}).json()
    assert second["reminding"] == {"below_per_min": 8.0}
    assert second["version"] > first.json()["version"]
    assert api("other device").get(PATH).json()["reminding"] is None
    assert OfAgent.read(second).remind_below_per_min == 8.0


@pytest.mark.parametrize("way", ["renewed", "added"])
def test_an_admin_with_a_devices_credentials_does_not_read_what_is_usual(everybody, way):
    """Unless the person, who is told so, has agreed since."""
    anna, irma = everybody.anna, Person.objects.get(username="irma")
    Reminding.objects.create(person=anna, mode=Mode.OWN, own_per_min=9.7, agreed_at=timezone.now())
    if way == "renewed":
        token = manage.rotate(irma, fresh(everybody.device))["token"]
    else:
        _made, code = make_code(anna, "Shadow", irma)
        token = claim(code, "0")["token"]
    irmas = Api(token)
    assert irmas.get(PATH).json()["reminding"] is None
    choose(irma, anna, Mode.OWN, None)
    Reminding.objects.update(own_per_min=9.7)
    assert irmas.get(PATH).json()["reminding"] is None, "she can't agree for Anna"
    shown = browser("anna").get(page(everybody.device)).content.decode()
    label = "Kitchen" if way == "renewed" else "Shadow"
    assert f"An administrator issued the credentials of {label} and could" in shown
    assert "To agree, save this form again" in shown
    assert "An administrator" not in browser("irma").get(page(everybody.device)).content.decode()
    choose(anna, anna, Mode.OWN, None)
    Reminding.objects.update(own_per_min=9.7)
    assert irmas.get(PATH).json()["reminding"] == {"below_per_min": 9.7}
    shown = browser("anna").get(page(everybody.device)).content.decode()
    assert "save this form again" not in shown


def test_ones_own_devices_and_the_next_persons_are_told(everybody):
    anna, irma = everybody.anna, Person.objects.get(username="irma")
    Reminding.objects.create(person=anna, mode=Mode.OWN, own_per_min=9.7)
    manage.rotate(anna, fresh(everybody.device))
    assert told(everybody.device) == {"below_per_min": 9.7}
    manage.rotate(irma, fresh(everybody.device))
    assert told(everybody.device) is None
    manage.reassign(irma, fresh(everybody.device), everybody.carl)
    manage.rotate(everybody.carl, fresh(everybody.device))
    Reminding.objects.create(person=everybody.carl, mode=Mode.OWN, own_per_min=7.5)
    assert told(everybody.device) == {"below_per_min": 7.5}


@pytest.mark.parametrize(
    ("name", "status"), [("anna", 403), ("nobody", 401), ("revoked device token", 401)]
)
def test_only_devices_ask(world, api, name, status):
    assert api(name).get(PATH).status_code == status


def test_a_device_that_gets_a_new_person_is_told_theirs(world):
    choose(world.anna, world.anna, Mode.FIXED, 8.0)
    choose(world.otto, world.otto, Mode.FIXED, 5.0)
    before = settings_of(fresh(world.device))
    manage.reassign(world.anna, fresh(world.device), world.otto)
    Device.objects.filter(pk=world.device.pk).update(credentials_ended=True)
    assert told(world.device) is None, "only the former owner's connection could read it"
    Device.objects.filter(pk=world.device.pk).update(credentials_ended=False)
    assert told(world.device) == {"below_per_min": 5.0}
    assert settings_of(fresh(world.device)).version >= before.version + 2


def test_a_number_that_was_set_is_kept_while_it_is_off(world):
    choose(world.anna, world.anna, Mode.FIXED, 8.0)
    choose(world.anna, world.anna, Mode.OFF, None)
    assert told(world.device) is None
    assert Reminding.objects.get().below_per_min == 8.0


# Published


class Line:
    """A connection to the broker that notes what was retained."""

    def __init__(self):
        self.topics, self.fails = [], False

    def publish(self, topic, payload, expiry_s=None, *, retain=False):
        assert retain
        assert expiry_s > 86_400
        if self.fails:
            raise BrokerError("refused a message: Not authorized")
        self.topics.append(topic.split("/")[3])
        return True


def test_changes_are_published_once_and_reassigning_is_one(world):
    line = Line()
    publisher = SettingsPublisher(line)
    publisher.look_round()
    assert line.topics == [], "nobody has chosen yet"
    choose(world.anna, world.anna, Mode.FIXED, 8.0)
    for _ in range(2):
        publisher.look_round()
    assert line.topics == [str(world.device.pk)]
    manage.reassign(world.anna, fresh(world.device), world.otto)  # who never chose
    for _ in range(2):
        publisher.look_round()
    assert line.topics == [str(world.device.pk)] * 2
    row = DeviceSettings.objects.get()
    assert (row.told, row.published) == ({"reminding": None}, row.version)


def test_what_a_device_has_asked_for_meanwhile_is_published_all_the_same(world):
    line = Line()
    choose(world.anna, world.anna, Mode.FIXED, 8.0)
    publisher = SettingsPublisher(line)
    publisher.look_round()
    manage.reassign(world.anna, fresh(world.device), world.otto)
    settings_of(fresh(world.device))  # over HTTP
    publisher.look_round()
    assert len(line.topics) == 2


def test_a_new_connection_publishes_all_again_and_an_old_one_daily(world):
    choose(world.anna, world.anna, Mode.FIXED, 8.0)
    line, now_s = Line(), [0.0]
    publisher = SettingsPublisher(line, lambda: now_s[0])
    publisher.look_round()
    SettingsPublisher(line).look_round()
    assert len(line.topics) == 2
    now_s[0] = publishing.AGAIN_S + 1
    publisher.look_round()
    assert len(line.topics) == 3


def test_a_broker_that_does_not_permit_it_is_asked_once(world, caplog):
    choose(world.anna, world.anna, Mode.FIXED, 8.0)
    line = Line()
    line.fails = True
    publisher = SettingsPublisher(line)
    for _ in range(2):
        publisher.look_round()
    assert caplog.text.count("devices get no settings over MQTT") == 1


# What is usual for a person


def minutes(*blinks, valid_s=60.0):
    return [
        {"minute": number, "valid_s": valid_s, "blinks": each, "ear_mean": 0.3, "perclos": 0.01}
        for number, each in enumerate(blinks)
    ]


def hours(rates):
    """A session with these rates in each three minutes."""
    return {"minutes": minutes(*(rate for rate in rates for _ in range(3))), "quality": []}


def test_rates_are_those_of_three_whole_minutes_in_a_row():
    assert list(rates_of({"minutes": minutes(4, 5, 6, 9, 9, 9, 1)})) == [5.0, 9.0]
    assert list(rates_of({"minutes": minutes(4, None, 6, 9, 9, 9)})) == [9.0]
    assert list(rates_of({"minutes": minutes(4, 5, 6, valid_s=45.0)})) == [pytest.approx(20 / 3)]
    assert list(rates_of({"minutes": minutes(4, 5, 6, valid_s=41.0)})) == []
    assert list(rates_of({"minutes": minutes(4, 5, 6), "quality": ["noisy"]})) == []


def test_minutes_after_a_reminder_are_not_usual():
    asked = {"at_s": [181.0], "rate_before_per_min": [4.0], "rate_after_per_min": [12.0]}
    document = {"minutes": minutes(4, 4, 4, 9, 9, 9, 12, 12, 12, 5, 5, 5), "reminders": asked}
    assert list(rates_of(document)) == [4.0, 5.0]


def test_the_usual_low_is_the_fifth_percentile_of_three_hours_on_five_days(world):
    now = timezone.now()
    rates = [8, 10, *[15] * 18]
    for day in range(1, 5):
        store(world.anna, world.device, session(day, **hours(rates)))
    assert usual_low(world.anna, now) is None, "four days are too few"
    store(world.anna, world.device, session(5, **hours(rates)))
    assert usual_low(world.anna, now) == pytest.approx(8.1, abs=0.2)
    store(world.otto, world.other_device, *(session(n, **hours([2] * 20)) for n in range(1, 7)))
    assert usual_low(world.anna, now) == pytest.approx(8.1, abs=0.2)
    assert usual_low(world.otto, now) == 2.0
    assert usual_low(world.anna, now + timedelta(days=90)) is None


def test_it_is_computed_when_chosen_and_then_daily(world):
    store(world.anna, world.device, *(session(n, **hours([9] * 20)) for n in range(1, 7)))
    choose(world.anna, world.anna, Mode.OWN, None)
    assert told(world.device) == {"below_per_min": 9.0}
    now = timezone.now()
    assert compute_all(now) == 0
    assert compute_all(now + timedelta(days=1, seconds=1)) == 1
    choose(world.anna, world.anna, Mode.OFF, None)
    assert compute_all(now + timedelta(days=9)) == 0


def test_with_too_little_measured_the_device_does_not_remind(world):
    choose(world.anna, world.anna, Mode.OWN, None)
    assert told(world.device) is None
    shown = browser("anna").get(page(world.device)).content.decode()
    assert "Too little has been measured yet" in shown


def test_the_device_counts_with_the_same_flags_and_bounds():
    from agent import records
    from agent.measure import reminding
    from server.reminding import models, usual

    assert set(reminding.HIDING) == usual.HIDING
    assert models.LEAST_PER_MIN == records.LEAST_BOUND_PER_MIN
    assert models.MOST_PER_MIN == records.MOST_BOUND_PER_MIN
    assert usual.AFTER_S == reminding.ASK_S + reminding.WINDOW_S


def test_an_unused_api_is_not_a_way_in(world):
    assert Api(world.tokens["device"])("POST", PATH, {"reminding": None}).status_code == 405
