"""The MQTT door with a real Mosquitto: answered after the commit, whatever goes away in between."""

import contextlib
import json
import os
import queue
import socket
import subprocess
import threading
import time

import pytest
from django.db import OperationalError, connection

from agent.records import DeviceSettings
from agent.transport.mqtt import MqttSettings, MqttTransport
from server.common.mqtt import BrokerSettings, connected
from server.devices.models import DeadLetter, Device
from server.ingest import consumer
from server.reminding.choose import choose
from server.reminding.models import Mode
from server.reminding.publishing import SettingsPublisher
from server.session_data.models import SessionData
from tests.broker import needs_mosquitto, running_broker
from tests.postgres import Postgres, needs_postgres
from tests.server.conftest import golden, make_world
from tests.server.ingest.running import (
    BLINK_SERVER,
    PATIENCE_S,
    SERVER,
    Box,
    Running,
    until,
    wait_until_heard,
)

pytestmark = [
    pytest.mark.needs_broker,
    needs_mosquitto,
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture(autouse=True)
def quick_to_stop(monkeypatch):
    monkeypatch.setattr(consumer, "WAIT_S", 0.1)


@pytest.fixture
def world(transactional_db):
    return make_world()


@pytest.fixture
def broker(world, tmp_path):
    """With the access rules that are deployed."""
    users = [SERVER, str(world.device.pk), str(world.other_device.pk)]
    with running_broker(tmp_path, dict.fromkeys(users, "secret")) as running:
        yield running


@pytest.fixture
def box(broker, world):
    device = Box(broker, world.device.pk)
    yield device
    device.close()


@pytest.fixture
def consuming(broker, box):
    running = Running(broker)
    wait_until_heard(box)
    yield running
    running.end()


def test_an_answer_comes_after_the_commit_with_the_same_correlation(box, consuming, world):
    for number, name in enumerate(["started", "checkpoint", "final"]):
        document = golden(name, session_id="0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")
        box.send(document, correlation=bytes([number]))
        assert box.answer() == {
            "session_id": document["session_id"],
            "revision": document["revision"],
            "outcome": "stored",
            "reason": None,
            "correlation": bytes([number]),
        }
        assert SessionData.objects.get().document == document  # on another connection
    box.send(golden("checkpoint", session_id=document["session_id"]))
    assert box.answer()["outcome"] == "stale"


def test_poison_is_answered_and_nothing_stops(box, consuming):
    for poison in (b"", b"\xff\xfe", b"{", b"[]", b'{"revision": NaN}', b"x" * 200_000):
        box.send(poison, correlation=b"p")
        answer = box.answer()
        assert (answer["outcome"], answer["correlation"]) == ("rejected", b"p")
    assert DeadLetter.objects.count() == 6
    box.send(golden("final"))
    assert box.answer()["outcome"] == "stored"


def test_an_answer_goes_to_nobody_but_the_device_whose_topic_it_came_by(
    box, consuming, broker, world
):
    other = Box(broker, world.other_device.pk)
    box.send(golden("final"), response=other.topic + "acks")
    assert box.answer()["outcome"] == "stored"
    other.send(golden("final"))  # what comes first at the other is its own
    assert other.answer()["outcome"] == "stored"
    assert other.answers.empty()
    other.close()


def test_a_revoked_device_hears_nothing_and_keeps_its_data(box, consuming, world):
    Device.objects.filter(pk=world.device.pk).update(revoked_at="2026-01-01T00:00:00Z")
    box.send(golden("final"))
    until(DeadLetter.objects.exists, "no dead letter")
    assert not SessionData.objects.exists()
    assert box.answers.empty()


def test_presence_reaches_the_server_and_a_will_ends_it(box, consuming, world):
    box.send({"online": True, "agent_version": "9"}, kind="status", retain=True)
    until(lambda: Device.objects.get(pk=world.device.pk).agent_version == "9", "not online")
    box.send({"online": False}, kind="status", retain=True)
    until(lambda: Device.objects.get(pk=world.device.pk).online is False, "not offline")


def test_a_consumer_that_starts_late_knows_who_is_there(box, broker, world):
    box.send({"online": True}, kind="status", retain=True)
    running = Running(broker)
    until(lambda: Device.objects.get(pk=world.device.pk).online, "not online")
    assert Device.objects.get(pk=world.device.pk).last_seen_at is None  # it may be gone since
    running.end()


def test_a_broker_that_dies_and_comes_back_is_found_again(box, consuming, broker):
    for _ in range(2):
        box.subscribed.clear()
        broker.kill()
        broker.start()
        assert box.subscribed.wait(PATIENCE_S)
        assert box.deliver(golden("final"))["outcome"] in ("stored", "duplicate")
    assert SessionData.objects.count() == 2


def test_a_broker_that_is_not_there_yet_is_waited_for(broker, world, caplog):
    broker.stop()
    running = Running(broker)
    until(lambda: "can't be reached" in caplog.text, "not tried")
    broker.start()
    box = Box(broker, world.device.pk)
    wait_until_heard(box)
    box.close()
    running.end()


def test_a_broker_that_refuses_us_is_asked_again_and_the_reason_said(broker, world, caplog):
    running = Running(broker, "wrong")
    until(lambda: caplog.text.count("refused the connection: Not authorized") > 1, "not said")
    running.end()


def test_while_the_database_is_away_nobody_gets_an_answer_and_nothing_is_lost(
    box, consuming, monkeypatch
):
    away = threading.Event()
    away.set()
    tried = threading.Event()
    real = consumer.take

    def take(messages):
        if away.is_set():
            tried.set()
            raise OperationalError("connection refused")
        return real(messages)

    monkeypatch.setattr(consumer, "take", take)
    document = golden("final")
    box.send(document)
    assert tried.wait(PATIENCE_S)
    assert box.answers.empty()
    away.clear()
    assert box.deliver(document)["outcome"] == "stored"
    assert SessionData.objects.count() == 1


@pytest.fixture
def systemd(broker, tmp_path, monkeypatch):
    """Its end of the socket that a service tells of its life by; the broker, which would, too,
    runs already."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield ear


def test_systemd_hears_that_it_lives_with_a_broker_and_without(systemd, box, broker):
    running = Running(broker)
    wait_until_heard(box)
    for _ in range(3):
        assert systemd.recv(100) == b"WATCHDOG=1"
    broker.stop()
    for _ in range(3):
        assert systemd.recv(100) == b"WATCHDOG=1"
    running.end()


def test_systemd_hears_nothing_of_a_consumer_that_hangs(systemd, box, consuming, monkeypatch):
    hangs, over = threading.Event(), threading.Event()
    monkeypatch.setattr(consumer, "take", lambda _: hangs.set() or over.wait(PATIENCE_S))
    box.send(golden("final"))
    assert hangs.wait(PATIENCE_S)
    systemd.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while systemd.recv(100):
            pass
    systemd.settimeout(10 * consumer.WAIT_S)
    with pytest.raises(TimeoutError):
        systemd.recv(100)
    over.set()


def test_a_backlog_is_stored_in_batches_and_each_answered_once(box, consuming, monkeypatch):
    sizes = []
    real = consumer.take
    monkeypatch.setattr(consumer, "take", lambda some: sizes.append(len(some)) or real(some))
    documents = [golden("final") for _ in range(300)]
    for document in documents:
        box.send(document)
    answered = {box.answer()["session_id"] for _ in documents}
    assert answered == {document["session_id"] for document in documents}
    assert SessionData.objects.count() == 300
    assert 1 < max(sizes) <= 100


@pytest.fixture
def strict(box, broker, monkeypatch):
    """A consumer that lets each device have 20 messages, and then one in an hour."""
    monkeypatch.setattr(consumer, "MQTT_AT_ONCE", 20)
    monkeypatch.setattr(consumer, "MQTT_PER_S", 1 / 3600)
    running = Running(broker)
    yield running
    running.end()


def test_a_flood_of_one_device_waits_there_and_the_others_go_on(box, strict, broker, world, caplog):
    other = Box(broker, world.other_device.pk)
    wait_until_heard(other)  # a status counts too
    documents = [golden("final") for _ in range(500)]
    for document in documents:
        box.send(document)
    assert other.deliver(golden("final"))["outcome"] == "stored"
    other.close()
    answered = {box.answer()["session_id"] for _ in range(20)}
    assert box.answers.empty()
    assert SessionData.objects.filter(device=world.device).count() == 20
    until(lambda: "above their device's rate limit" in caplog.text, "not told")
    strict.end()
    again = Running(broker)  # with a share that is full again
    try:
        waiting = next(each for each in documents if each["session_id"] not in answered)
        assert box.deliver(waiting)["outcome"] == "stored"
    finally:
        again.end()


def test_a_two_hour_session_and_a_payload_at_the_limit_pass_the_broker_as_deployed(box, consuming):
    number = 5000
    columns = {"at_s": 1.44, "duration_ms": 187.5, "amplitude": 0.712, "complete": True}
    session = golden("final", blinks={name: [each] * number for name, each in columns.items()})
    session["minutes"] = [{**session["minutes"][0], "minute": each} for each in range(120)]
    box.send(session)
    assert box.answer()["outcome"] == "stored"
    largest = golden("final", filling="")
    largest["filling"] = "x" * (1024 * 1024 - len(json.dumps(largest)))
    box.send(largest)
    assert box.answer()["outcome"] == "stored"
    kept = SessionData.objects.get(pk=largest["session_id"]).document
    assert kept == largest


def test_a_payload_beyond_the_limit_ends_at_the_broker_and_harms_nobody(
    box, consuming, broker, world
):
    rude = Box(broker, world.other_device.pk)
    rude.subscribed.clear()
    rude.send(b"x" * (1024 * 1024 + 8192))
    assert rude.subscribed.wait(PATIENCE_S)  # the broker cut it off, and it is back
    rude.close()
    box.send(golden("final"))
    assert box.answer()["outcome"] == "stored"
    assert not DeadLetter.objects.exists()


def test_two_consumers_share_the_work_and_one_alone_carries_on(box, consuming, broker):
    second = Running(broker)
    documents = [golden("final") for _ in range(60)]
    for document in documents[:40]:
        box.send(document)
    first_answers = [box.answer()["session_id"] for _ in documents[:40]]
    assert sorted(first_answers) == sorted(d["session_id"] for d in documents[:40])
    second.end()
    for document in documents[40:]:
        box.send(document)
    assert {box.answer()["outcome"] for _ in documents[40:]} == {"stored"}
    assert box.answers.empty()


# The process


def blink_server(environment, *arguments):
    return subprocess.run(
        [BLINK_SERVER, *arguments],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


@needs_postgres
@pytest.mark.needs_postgres
@pytest.mark.skipif(connection.vendor == "sqlite", reason="runs with PostgreSQL's turn")
def test_a_database_that_crashes_and_comes_back_costs_nothing(tmp_path):
    postgres = Postgres()
    postgres.start()
    environment = {
        **os.environ,
        "DATABASE_URL": postgres.url,
        "BLINKLOG_DATA_DIR": str(tmp_path / "data"),
    }
    blink_server(environment, "migrate", "--quiet")
    blink_server(environment, "create-person", "anna")
    made = blink_server(environment, "create-device", "--person", "anna", "--name", "K", "--json")
    device = json.loads(made)["device"]
    with running_broker(tmp_path, {SERVER: "secret", device: "secret"}) as broker:
        environment["BLINKLOG_MQTT_URL"] = f"mqtt://{SERVER}:secret@127.0.0.1:{broker.port}"
        process = subprocess.Popen([BLINK_SERVER, "consume"], env=environment)
        box = Box(broker, device)
        try:
            wait_until_heard(box)
            document = golden("final")
            postgres.kill()
            box.send(document)
            with pytest.raises(queue.Empty):
                box.answer(timeout=1)
            postgres.start()
            assert box.deliver(document)["outcome"] == "stored"
            assert process.poll() is None
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()
            box.close()
            postgres.remove()


def test_a_device_gets_the_settings_that_the_broker_retains(broker, world):
    """From the page to the device's store: the agent's own transport reads what is published."""
    choose(world.anna, world.anna, Mode.FIXED, 8.0)
    address = BrokerSettings(broker.host, broker.port, None, SERVER, "secret")
    with connected(address) as line:
        SettingsPublisher(line).look_round()
    mine, others = (
        MqttTransport(
            MqttSettings(
                broker.host, broker.port, tls=False, username=str(each.pk), password="secret",
                device=str(each.pk),
            ),
            presence={},
        )
        for each in (world.device, world.other_device)
    )  # fmt: skip
    with contextlib.closing(mine), contextlib.closing(others):
        for transport in (mine, others):
            list(transport.deliver([], 1))
        deadline = time.monotonic() + PATIENCE_S
        settings = None
        while settings is None and time.monotonic() < deadline:
            mine.commands()
            settings = mine.settings()
        assert DeviceSettings.read(settings).remind_below_per_min == 8.0
        others.commands()
        assert others.settings() is None
