"""People ask devices to start and stop: what is sent, what is recorded, what came of it."""

import json
import queue
import socket
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from server.care.models import AccessLog
from server.devices.models import Command, Device, DeviceToken
from server.session_data.accept import accept_own, accept_session
from server.session_data.amend import first_document
from server.session_data.commands import ask as commands
from server.session_data.models import SessionData
from tests.broker import needs_mosquitto, running_broker
from tests.server.conftest import golden

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]
PATIENCE_S = 20


@pytest.fixture
def broker(world, tmp_path, settings):
    users = dict.fromkeys(["blinklog-server", str(world.device.pk)], "secret")
    with running_broker(tmp_path, users) as running:
        settings.MQTT_URL = f"mqtt://blinklog-server:secret@{running.host}:{running.port}"
        settings.MQTT_PASSWORD_FILE = ""
        yield running


@pytest.fixture
def heard(broker, world):
    """What the device hears."""
    messages, ready = queue.Queue(), threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, "device", protocol=paho.MQTTv5)
    client.username_pw_set(str(world.device.pk), "secret")
    topic = f"blinklog/1/devices/{world.device.pk}/commands"
    client.on_connect = lambda *_: client.subscribe(topic, 1)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda _c, _u, message: messages.put(message)
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert ready.wait(PATIENCE_S)
    yield messages
    client.disconnect()
    client.loop_stop()


def start(api, world, who="carl"):
    return api(who)("POST", "/api/session/start/", {"device": str(world.device.pk)})


def stop(api, session_id, who="carl"):
    return api(who)("POST", f"/api/session/{session_id}/end/", {})


def came_of(api, answer, who="carl"):
    return api(who).get(answer["Location"]).json()["outcome"]


@pytest.mark.parametrize("who", ["anna", "carl"])
def test_a_start_reaches_the_device_and_is_recorded(api, world, heard, who):
    before = datetime.now(UTC)
    answer = start(api, world, who)
    assert answer.status_code == 202
    told = answer.json()
    message = heard.get(timeout=PATIENCE_S)
    said = json.loads(message.payload)
    assert said == {
        "id": told["id"],
        "command": "start",
        "expires_at": told["expires_at"],
        "session_id": told["session_id"],
    }
    asked_at, expires_at = (datetime.fromisoformat(told[k]) for k in ("asked_at", "expires_at"))
    assert before - timedelta(milliseconds=1) < asked_at < datetime.now(UTC)
    assert expires_at - asked_at == timedelta(seconds=30)
    assert message.properties.MessageExpiryInterval <= 30
    assert (message.qos, message.retain) == (1, False)
    command = Command.objects.get(pk=told["id"])
    assert (command.device, command.person) == (world.device, world.anna)
    assert (command.asked_by_name, command.command) == (who, "start")
    assert (told["outcome"], told["problem"], told["user"]) == ("sent", None, "anna")
    assert answer["Location"] == f"/api/commands/{told['id']}/"


def test_the_answer_to_a_start_is_the_session_itself(api, world, heard):
    answer = start(api, world)
    assert came_of(api, answer) == "sent"
    session_id = answer.json()["session_id"]
    accept_session(world.device, golden("started"))
    assert came_of(api, answer) == "sent"
    accept_session(world.device, golden("started", session_id=session_id))
    assert came_of(api, answer) == "obeyed"


def test_another_device_does_not_answer_in_its_place(api, world, heard):
    answer = start(api, world)
    session_id = answer.json()["session_id"]
    other = golden("started", session_id=session_id)
    assert accept_session(world.other_device, other).outcome == "rejected"
    assert came_of(api, answer) == "sent"


def test_the_session_of_a_start_can_be_neither_taken_nor_buried_by_who_asked(api, world, heard):
    own = Device.objects.create(person=world.carl, label="Carl's")
    world.tokens["carl's device"] = DeviceToken.issue(own)
    session_id = start(api, world).json()["session_id"]
    taken = golden("started", session_id=session_id)
    answer = api("carl's device")("POST", "/api/session/start/", taken)
    assert (answer.status_code, answer.json()["outcome"]) == (404, "rejected")
    answer = api("carl's device")(
        "POST", f"/api/session/{session_id}/end/", golden("final") | taken
    )
    assert answer.status_code == 400
    assert not SessionData.objects.exists()
    measured = golden("final", session_id=session_id)
    answer = api("device")("PUT", f"/api/session/{session_id}/", measured)
    assert (answer.status_code, answer.json()["outcome"]) == (201, "stored")
    assert SessionData.objects.get().user == world.anna


def test_a_start_that_nothing_comes_of_expires_and_a_late_session_is_its_answer_still(
    api, world, heard
):
    answer = start(api, world)
    Command.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert came_of(api, answer) == "expired"
    session_id = answer.json()["session_id"]
    accept_session(world.device, golden("started", session_id=session_id))
    assert came_of(api, answer) == "obeyed"


def test_a_stop_names_its_session_and_is_obeyed_when_that_is_over(api, world, heard):
    document = golden("started")
    accept_session(world.device, document)
    answer = stop(api, document["session_id"])
    assert answer.status_code == 202
    said = json.loads(heard.get(timeout=PATIENCE_S).payload)
    assert (said["command"], said["session_id"]) == ("stop", document["session_id"])
    assert came_of(api, answer) == "sent"
    assert SessionData.objects.get().state == "active"  # its device says when it is over
    accept_session(world.device, golden("final", session_id=document["session_id"]))
    assert came_of(api, answer) == "obeyed"


def test_two_presses_start_one_session_and_a_third_after_it_another(api, world, heard):
    first, second = (start(api, world).json() for _ in range(2))
    assert first["id"] == second["id"]
    accept_session(world.device, golden("final", session_id=first["session_id"]))
    third = start(api, world).json()
    assert third["session_id"] != first["session_id"]
    heard.get(timeout=PATIENCE_S)
    assert json.loads(heard.get(timeout=PATIENCE_S).payload)["id"] == third["id"]
    assert heard.empty()


def test_a_second_asker_is_not_told_the_first_ones_session(api, world, heard):
    first = start(api, world, "anna").json()
    answer = start(api, world, "carl")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_asked")
    assert first["session_id"] not in answer.content.decode()
    assert Command.objects.get().asked_by == world.anna
    heard.get(timeout=PATIENCE_S)
    assert heard.empty()


def test_a_stop_of_another_session_is_another_command(api, world, heard):
    documents = [golden("started"), golden("started")]
    for document in documents:
        accept_session(world.device, document)
    ids = {stop(api, document["session_id"]).json()["id"] for document in documents}
    assert len(ids) == 2


def test_a_caregivers_command_is_in_the_log_that_its_person_reads(api, world, heard):
    session_id = start(api, world).json()["session_id"]
    look = AccessLog.objects.get(person=world.anna)
    assert (look.viewer, look.what, str(look.session_id)) == (
        world.carl, "start command", session_id,
    )  # fmt: skip
    start(api, world, "anna")
    assert AccessLog.objects.count() == 1


def test_without_a_broker_nothing_is_promised_and_the_record_says_why(api, world, settings):
    settings.MQTT_URL = "mqtt://127.0.0.1:1"
    answer = start(api, world)
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("the command was not sent: the broker can't be")
    assert int(answer["Retry-After"]) > 0
    command = Command.objects.get()
    assert command.problem.startswith("the broker can't be reached")
    assert api("anna").get(f"/api/commands/{command.pk}/").json()["outcome"] == "failed"


def test_settings_that_are_wrong_are_told_to_the_log_alone(api, world, settings, caplog):
    settings.MQTT_PASSWORD_FILE = "/no/such/file"
    answer = start(api, world)
    assert answer.status_code == 503
    assert "/no/such/file" in caplog.text
    assert "/no/such" not in answer.content.decode()


def test_a_device_that_is_not_there_is_said_to_be_so(api, world, broker):
    answer = start(api, world)
    assert answer.status_code == 409
    assert "not connected" in answer.json()["detail"]
    assert Command.objects.get().problem


def test_after_a_failure_the_next_press_is_a_new_command(api, world, broker, settings):
    start(api, world)
    start(api, world)
    assert Command.objects.count() == 2


def test_a_broker_that_says_nothing_holds_up_nobody_for_long(api, world, settings, monkeypatch):
    monkeypatch.setattr("server.common.mqtt.CONNECT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings.MQTT_URL = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
        answer = start(api, world)
    assert answer.status_code == 503
    assert "did not answer within" in answer.json()["detail"]


def test_threads_that_wait_for_a_slow_broker_are_few(api, world, monkeypatch):
    monkeypatch.setattr(commands, "_turns", threading.BoundedSemaphore(1))
    monkeypatch.setattr(commands, "TURN_S", 0.01)
    commands._turns.acquire()
    answer = start(api, world)
    assert answer.status_code == 503
    assert "other commands are waiting" in answer.json()["detail"]


def test_what_is_over_can_not_be_stopped(api, world):
    document = golden("final")
    accept_session(world.device, document)
    answer = stop(api, document["session_id"])
    assert (answer.status_code, answer.json()["detail"]) == (409, "the session is over")
    assert not Command.objects.exists()


@pytest.mark.parametrize("change", [{"revoked_at": timezone.now()}, {"person": "otto"}])
def test_a_device_that_is_not_its_persons_any_more_is_not_asked(api, world, change):
    document = golden("started")
    accept_session(world.device, document)
    change = {key: world.otto if value == "otto" else value for key, value in change.items()}
    Device.objects.filter(pk=world.device.pk).update(**change)
    assert stop(api, document["session_id"]).status_code == 409
    assert start(api, world).status_code == 404


def test_a_session_without_a_device_has_nobody_to_ask(api, world):
    own = first_document(world.anna, uuid.uuid4(), {})
    accept_own(world.anna, own)
    assert stop(api, own["session_id"], "carl").status_code == 409
    assert stop(api, own["session_id"], "anna").status_code == 200


@pytest.mark.parametrize(
    "body", [{"device": None}, {"device": "kitchen"}, {"device": 7}, {"device": []}, {"more": 1}]
)
def test_an_odd_start_is_refused(api, world, body):
    answer = api("carl")("POST", "/api/session/start/", {"device": str(world.device.pk)} | body)
    assert answer.status_code == 400
