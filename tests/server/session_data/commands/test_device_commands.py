"""A device without a broker asks for its commands: what it is told, until when, and who is not."""

import uuid
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.care.models import Person
from server.devices import fair_share
from server.devices.fair_share import FairShare, PollThrottle
from server.devices.models import SEEN_RESOLUTION, Command, CommandName, Device
from server.session_data.accept import accept_session
from server.session_data.commands import ask as commands
from tests.server.conftest import golden

PATH = "/api/device/commands/"


@pytest.fixture(autouse=True)
def no_broker(settings):
    settings.MQTT_URL = "mqtt://127.0.0.1:1"


def told(api, who="device"):
    answer = api(who).get(PATH)
    assert answer.status_code == 200
    return answer.json()["commands"]


def start(api, world, who="carl"):
    return api(who)("POST", "/api/session/start/", {"device": str(world.device.pk)})


def test_a_start_is_sent_without_a_broker_and_told_at_the_next_question(api, world):
    assert told(api) == []
    answer = start(api, world)
    assert answer.status_code == 202
    sent = answer.json()
    (command,) = told(api)
    assert 29 < command.pop("expires_in_s") <= 30
    assert command == {key: sent[key] for key in ("id", "command", "session_id", "expires_at")}
    assert sent["outcome"] == "sent"
    assert Command.objects.get().problem == ""


def test_a_stop_too(api, world):
    told(api)
    document = golden("started")
    accept_session(world.device, document)
    assert api("carl")("POST", f"/api/session/{document['session_id']}/end/", {}).status_code == 202
    (command,) = told(api)
    assert (command["command"], command["session_id"]) == ("stop", document["session_id"])


def test_a_command_is_told_again_until_it_is_obeyed(api, world):
    """An answer may be lost. The device knows the id."""
    told(api)
    session_id = start(api, world).json()["session_id"]
    first, again = told(api), told(api)
    assert first[0].pop("expires_in_s") > again[0].pop("expires_in_s")
    assert first == again
    accept_session(world.device, golden("started", session_id=session_id))
    assert told(api) == []


def test_an_expired_command_is_not_told(api, world):
    told(api)
    start(api, world)
    long_ago = timezone.now() - commands.LIFE
    Command.objects.update(asked_at=long_ago, expires_at=long_ago + commands.LIFE)
    assert told(api) == []


def test_a_command_that_was_said_to_have_failed_is_not_told_later(api, world):
    """Nobody expects it any more."""
    assert start(api, world).status_code == 503
    assert told(api) == []


def test_a_device_that_asked_a_while_ago_is_not_promised_anything(api, world):
    told(api)
    Device.objects.update(polled_at=timezone.now() - timedelta(seconds=61))
    assert start(api, world).status_code == 503
    assert Command.objects.get().problem


def test_commands_are_told_in_the_order_in_which_they_were_given(api, world):
    told(api)
    document = golden("started")
    accept_session(world.device, document)
    api("carl")("POST", f"/api/session/{document['session_id']}/end/", {})
    start(api, world)
    assert [each["command"] for each in told(api)] == ["stop", "start"]


# Strangers


def test_another_device_is_told_nothing(api, world):
    told(api)
    start(api, world)
    assert told(api, "other device") == []
    assert len(told(api)) == 1


@pytest.mark.parametrize(
    ("who", "status"),
    [("nobody", 401), ("revoked device token", 401), ("anna", 403), ("carl", 403)],
)
def test_only_a_device_may_ask(api, world, who, status):
    assert api(who).get(PATH).status_code == status
    assert Device.objects.get(pk=world.device.pk).polled_at is None


def test_a_blocked_device_is_told_nothing(api, world):
    told(api)
    start(api, world)
    Device.objects.update(revoked_at=timezone.now())
    assert api("device").get(PATH).status_code == 401


def test_a_device_that_was_given_away_is_not_told_what_was_meant_for_another_person(api, world):
    told(api)
    start(api, world)
    Device.objects.filter(pk=world.device.pk).update(person=Person.objects.get(username="otto"))
    assert told(api) == []


# Presence


def test_a_device_that_asks_is_connected_and_soon_after_it_is_not(api, world):
    def online():
        return api("anna").get(f"/api/device/{world.device.pk}/").json()["online"]

    assert online() is None
    told(api)
    assert online() is True
    Device.objects.update(polled_at=timezone.now() - timedelta(seconds=61))
    assert online() is False


@pytest.mark.parametrize(
    ("online", "status_ago_s", "polled_ago_s", "there"),
    [
        (True, 120, 119, True),  # connected, and has asked once since
        (True, 290, 100, False),  # the broker went away without a last will, and now the device
        (True, 290, 10, True),  # the broker went away, and the device asks
        (False, 5, 10, True),  # its last will arrived while it asks already
        (False, 100, 3600, False),
        (True, 100, 3600, True),  # the broker is back
        (None, None, 100, False),
        (None, None, 10, True),
    ],
)
def test_presence_comes_from_the_newer_of_broker_and_questions(
    world, online, status_ago_s, polled_ago_s, there
):
    now = timezone.now()
    world.device.online = online
    world.device.status_at = status_ago_s and now - timedelta(seconds=status_ago_s)
    world.device.polled_at = now - timedelta(seconds=polled_ago_s)
    world.device.last_seen_at = now - timedelta(seconds=min(polled_ago_s, status_ago_s or 9999))
    assert world.device.is_online is there


def test_questions_are_written_down_at_most_twice_a_minute(api, world):
    told(api)
    before = Device.objects.get(pk=world.device.pk)
    assert before.last_seen_at == before.polled_at
    with CaptureQueriesContext(
        connection,
    ) as queries:
        told(api)
    assert [each["sql"].split()[0] for each in queries] == ["SELECT", "SELECT"]
    assert Device.objects.get(pk=world.device.pk).polled_at == before.polled_at
    Device.objects.update(polled_at=timezone.now() - SEEN_RESOLUTION)
    told(api)
    assert Device.objects.get(pk=world.device.pk).polled_at > before.polled_at


def test_many_old_commands_cost_a_question_nothing(api, world):
    now = timezone.now()
    Command.objects.bulk_create(
        Command(
            device=world.device, person=world.anna, command=CommandName.START,
            session_id=uuid.uuid4(), asked_at=now - timedelta(minutes=n),
            expires_at=now - timedelta(minutes=n) + commands.LIFE,
        )
        for n in range(1, 200)
    )  # fmt: skip
    told(api)
    with CaptureQueriesContext(connection) as queries:
        told(api)
    (question,) = [each["sql"] for each in queries if "devices_command" in each["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' * (connection.vendor == 'sqlite')}{question}")
        plan = str(cursor.fetchall())
    assert connection.vendor != "sqlite" or "commands_of_a_device" in plan


# Limits


def test_a_device_that_asks_every_two_seconds_and_sends_documents_meets_no_limit(
    api, world, monkeypatch
):
    """Documents and questions are counted apart: a backlog does not keep commands away."""
    now_s = [1000.0]
    share = FairShare(fair_share.POLLS_PER_S, fair_share.POLLS_AT_ONCE, lambda: now_s[0])
    monkeypatch.setattr(PollThrottle, "share", share)
    monkeypatch.setattr(fair_share.DeviceThrottle, "share", FairShare(0.001, 1))
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 201
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 429
    for _ in range(100):
        told(api)
        now_s[0] += 2


def test_a_device_that_asks_without_pause_is_told_to_wait(api, world, monkeypatch):
    monkeypatch.setattr(PollThrottle, "share", FairShare(5, 10, lambda: 1000.0))
    for _ in range(10):
        told(api)
    answer = api("device").get(PATH)
    assert (answer.status_code, int(answer["Retry-After"])) == (429, 1)
    assert told(api, "other device") == []


def test_the_remaining_time_is_the_servers_own(api, world):
    told(api)
    start(api, world)
    Command.objects.update(expires_at=timezone.now() + timedelta(seconds=12))
    (command,) = told(api)
    left_s = (datetime.fromisoformat(command["expires_at"]) - timezone.now()).total_seconds()
    assert left_s <= command["expires_in_s"] <= 12
