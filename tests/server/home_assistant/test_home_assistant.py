"""With a real Mosquitto and its rules: what Home Assistant finds at the broker, and what not."""

import json
import threading
import time

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from server.devices.models import Device
from server.home_assistant.models import Shown
from server.ingest.consumer import Consumer
from server.monitoring.signs import Heart
from server.session_data.accept import accept_session
from server.session_data.models import SessionData
from tests.broker import needs_mosquitto, running_broker
from tests.server.conftest import golden, make_world
from tests.server.ingest.running import SERVER, Box, Running, until

pytestmark = [
    pytest.mark.needs_broker,
    needs_mosquitto,
    pytest.mark.django_db(transaction=True),
]
HOME = "home-assistant"


@pytest.fixture
def world(transactional_db):
    return make_world()


@pytest.fixture
def broker(world, tmp_path):
    users = [SERVER, HOME, str(world.device.pk), str(world.other_device.pk)]
    with running_broker(tmp_path, dict.fromkeys(users, "secret")) as running:
        yield running


@pytest.fixture
def consuming(broker, monkeypatch):
    from server.ingest import consumer

    monkeypatch.setattr(consumer, "WAIT_S", 0.1)
    monkeypatch.setattr(Heart.__init__, "__defaults__", (0.1,))
    running = Running(broker)
    yield running
    running.end()


class HomeAssistant:
    """Subscribes as Home Assistant does; keeps what it is told by topic."""

    def __init__(self, broker, user=HOME, topics=("homeassistant/#", "blinklog/#")):
        self.told = {}
        name = f"{user}-{id(self)}"  # the broker takes nobody without one
        self.client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        self.client.username_pw_set(user, "secret")
        self.client.on_connect = lambda c, *_: [c.subscribe(topic, 1) for topic in topics]
        self.client.on_message = self._on_message
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()

    def _on_message(self, _client, _data, message):
        if message.payload:
            self.told[message.topic] = message.payload
        else:
            self.told.pop(message.topic, None)

    def json(self, topic):
        return json.loads(self.told[topic])

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def home(broker):
    home = HomeAssistant(broker)
    yield home
    home.close()


def opt(person, device, wanted: str):
    client = Client()
    client.force_login(person)
    return client.post(f"/devices/{device.pk}/home-assistant/", {"wanted": wanted})


def named(device):
    base = f"blinklog/1/home/{device.pk}"
    return (
        f"homeassistant/device/blinklog-{device.pk}/config",
        f"{base}/state",
        f"{base}/availability",
    )


def test_a_device_that_is_opted_in_is_announced_with_all_that_home_assistant_asks_for(
    world, consuming, home
):
    config_topic, state_topic, availability_topic = named(world.device)
    assert opt(world.anna, world.device, "1").status_code == 302
    until(lambda: config_topic in home.told, "not announced")
    config = home.json(config_topic)
    assert config["origin"]["name"] == "Blinklog"
    assert config["device"]["identifiers"] == [f"blinklog-{world.device.pk}"]
    assert config["device"]["name"] == "Kitchen"
    assert config["state_topic"] == state_topic
    components = config["components"]
    assert set(components) == {
        "session", "blink_rate_per_min", "ear_mean", "perclos_percent", "coverage_percent",
        "last_session_ended", "online",
    }  # fmt: skip
    state = home.json(state_topic)
    assert set(state) == set(components)
    for key, each in components.items():
        assert each["platform"] in ("sensor", "binary_sensor")
        assert each["name"]
        assert each["value_template"] == f"{{{{ value_json.{key} }}}}"
    assert len({each["unique_id"] for each in components.values()}) == len(components)
    assert components["session"]["availability_topic"] == availability_topic
    assert home.told[availability_topic] == b"online"
    assert state["session"] in components["session"]["options"]
    # Nobody measured anything yet: unknown, and no zero anywhere.
    assert {key for key, value in state.items() if value is None} == set(state) - {"session"}


def test_its_session_and_numbers_follow_what_is_stored(world, broker, consuming, home):
    state_topic = named(world.device)[1]
    opt(world.anna, world.device, "1")
    until(lambda: state_topic in home.told, "not announced")
    box = Box(broker, world.device.pk)
    try:
        until(lambda: box.deliver(golden("checkpoint"))["outcome"] == "stored", "not stored")
        until(lambda: home.json(state_topic)["session"] == "measuring", "not measuring")
        box.send({"online": True}, kind="status")
        until(lambda: home.json(state_topic)["online"] == "on", "not online")
        final = golden("final", started_at="2026-11-22T10:30:00Z", ended_at="2026-11-22T10:35:00Z")
        final["metrics"] |= {"perclos": 0.0183, "ear_mean": None}
        SessionData.objects.all().delete()
        box.deliver(final)
        ended = "2026-11-22T10:35:00.000Z"
        until(lambda: home.json(state_topic)["last_session_ended"] == ended, "not ended")
        told = home.json(state_topic)
        assert told["session"] == "idle"
        assert told["perclos_percent"] == 1.8
        assert told["ear_mean"] is None
        assert told["blink_rate_per_min"] == final["metrics"]["blink_rate_per_min"]
        box.send({"online": False}, kind="status")
        availability = named(world.device)[2]
        until(lambda: home.told[availability] == b"offline", "still available")
    finally:
        box.close()


def test_what_came_by_http_shows_too(world, consuming, home):
    state_topic = named(world.device)[1]
    opt(world.anna, world.device, "1")
    until(lambda: state_topic in home.told, "not announced")
    accept_session(world.device, golden("final"))
    until(lambda: home.json(state_topic)["blink_rate_per_min"] is not None, "no numbers")


@pytest.mark.parametrize("how", ["opted out", "given away", "revoked", "deleted"])
def test_what_is_withdrawn_is_gone_from_the_broker(world, broker, consuming, home, how):
    opt(world.anna, world.device, "1")
    until(lambda: set(named(world.device)) <= set(home.told), "not announced")
    if how == "opted out":
        opt(world.anna, world.device, "0")
    elif how == "given away":
        Device.objects.filter(pk=world.device.pk).update(person=world.otto)
    elif how == "revoked":
        Device.objects.filter(pk=world.device.pk).update(revoked_at=timezone.now())
    else:
        Device.objects.filter(pk=world.device.pk).delete()
    until(lambda: not home.told, "still there")
    until(lambda: not Shown.objects.exists(), "still noted")
    later = HomeAssistant(broker)  # nothing is retained for who comes later
    time.sleep(0.3)
    assert later.told == {}
    later.close()


def test_home_assistant_reads_what_it_is_shown_and_nothing_of_a_device(
    world, broker, consuming, home
):
    opt(world.anna, world.device, "1")
    until(lambda: set(named(world.device)) <= set(home.told), "not announced")
    box = Box(broker, world.device.pk)
    spy = HomeAssistant(broker, str(world.other_device.pk))
    box.deliver(golden("final"))
    box.close()
    assert set(home.told) == set(named(world.device))
    assert spy.told == {}
    spy.close()


def test_nobody_opts_in_a_device_that_is_not_theirs(world):
    for name in ("carl", "otto"):
        assert opt(getattr(world, name), world.device, "1").status_code == 404
    assert not Shown.objects.exists()


def test_a_broker_that_does_not_allow_it_costs_nothing_but_this(world, tmp_path, monkeypatch):
    from server.common.mqtt import BrokerSettings
    from server.ingest import consumer

    monkeypatch.setattr(consumer, "WAIT_S", 0.1)
    Shown.objects.create(device_id=world.device.pk, person_pk=world.anna.pk)
    users = ["somebody-else", str(world.device.pk)]
    with running_broker(tmp_path, dict.fromkeys([*users, SERVER], "secret")) as broker:
        rules = tmp_path / "acl"
        own = "user somebody-else\ntopic read blinklog/#\ntopic write blinklog/1/devices/+/acks\n"
        pattern = "pattern write blinklog/1/devices/%u/#\npattern read blinklog/1/devices/%u/#\n"
        rules.write_text(own + pattern)
        configuration = tmp_path / "broker.conf"
        lines = configuration.read_text().splitlines()
        kept = [line for line in lines if not line.startswith("acl_file")]
        configuration.write_text("\n".join([*kept, f"acl_file {rules}"]) + "\n")
        broker.stop()
        broker.start()
        stop = threading.Event()
        settings = BrokerSettings(broker.host, broker.port, None, "somebody-else", "secret")

        def run() -> None:
            Consumer(settings, stop, 0.2).run()
            connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        box = Box(broker, world.device.pk)
        try:
            assert box.deliver(golden("final"))["outcome"] == "stored"
        finally:
            box.close()
            stop.set()
            thread.join(20)
