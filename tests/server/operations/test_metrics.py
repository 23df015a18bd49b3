"""What an operator can watch: readiness by part, and numbers that name nobody."""

import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from server.alerts.judge import judge
from server.alerts.models import Rule
from server.config.environment import networks
from server.devices.models import Device
from server.ingest.consumer import Consumer
from server.ingest.tallies import Tallies
from server.monitoring import signs
from server.monitoring.models import Sign, Tally
from server.monitoring.signs import CONSUMER, Heart, note_sign
from server.operations import metrics_page
from server.session_data.accept import accept_session
from tests.broker import needs_mosquitto, running_broker
from tests.server.conftest import golden
from tests.server.operations.test_cli import BLINK_SERVER

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def numbers(text: str) -> Numbers:
    """Every sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def allowed(settings, monkeypatch):
    monkeypatch.setenv("ALLOW", "127.0.0.1, 10.9.0.0/16")
    settings.METRICS_ALLOW = networks("ALLOW")


# Readiness


def test_readiness_tells_whether_a_consumer_is_at_work_and_counts_it_where_asked(db, settings):
    assert Client().get("/readyz").json()["consumer"] == "never heard of"
    note_sign(CONSUMER)
    told = Client().get("/readyz").json()
    assert (told["consumer"], told["status"]) == ("ok", "ok")
    Sign.objects.update(at=timezone.now() - timedelta(minutes=2))
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["consumer"]) == (200, "away")
    settings.READY_WITH_CONSUMER = True
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "ok")
    note_sign(CONSUMER)
    assert Client().get("/readyz").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_heart_beats_no_more_often_than_it_has_to(django_assert_num_queries):
    heart = Heart("x", every_s=60)
    assert heart.beat()
    with django_assert_num_queries(0):
        assert not heart.beat()


@needs_mosquitto
@pytest.mark.needs_broker
@pytest.mark.django_db(transaction=True)
def test_a_consumer_shows_signs_of_life_while_it_has_broker_and_database(tmp_path, monkeypatch):
    from server.common.mqtt import BrokerSettings

    monkeypatch.setattr(signs, "BEAT_S", 0.05)
    monkeypatch.setattr(Heart.__init__, "__defaults__", (0.05,))
    stop = threading.Event()
    with running_broker(tmp_path) as broker:
        where = BrokerSettings(broker.host, broker.port, None, None, None)
        consumer = Consumer(where, stop, longest_pause_s=0.1)

        def run() -> None:
            consumer.run()
            connection.close()  # this thread's own

        thread = threading.Thread(target=run)
        thread.start()
        try:
            first = wait_for(lambda: Sign.objects.filter(pk=CONSUMER).first())
            wait_for(lambda: Sign.objects.get(pk=CONSUMER).at > first.at)
            broker.stop()
            time.sleep(0.5)
            last = Sign.objects.get(pk=CONSUMER).at
            time.sleep(0.5)
            assert Sign.objects.get(pk=CONSUMER).at == last
        finally:
            stop.set()
            thread.join(20)


def wait_for(get: Any) -> Any:
    until_s = time.monotonic() + 20
    while time.monotonic() < until_s:
        if found := get():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come")


# Numbers


def test_nobody_reads_the_numbers_unless_the_settings_say_so(db, settings, allowed):
    allow, settings.METRICS_ALLOW = settings.METRICS_ALLOW, []
    assert Client().get("/metrics").status_code == 404
    settings.METRICS_ALLOW = allow
    assert Client().get("/metrics").status_code == 200
    assert Client(REMOTE_ADDR="10.9.1.1").get("/metrics").status_code == 200
    assert Client(REMOTE_ADDR="10.8.1.1").get("/metrics").status_code == 404
    # By way of a proxy that was not named, every address is the proxy's.
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    assert Client(headers=forwarded).get("/metrics").status_code == 404
    settings.TRUSTED_PROXIES = 1
    assert Client(headers=forwarded).get("/metrics").status_code == 404
    settings.METRICS_TOKEN = "a token of some length"
    for token, status in (("a token of some length", 200), ("another", 404), ("", 404)):
        headers = {**forwarded, "Authorization": f"Bearer {token}"}
        assert Client(headers=headers).get("/metrics").status_code == status


def test_the_numbers_are_those_of_the_database_and_of_the_requests(world, api, allowed):
    device = api("device")
    document = golden("final")
    key = ("blinklog_http_documents_total", (("outcome", "duplicate"),))
    before = numbers(Client().get("/metrics").content.decode()).get(key, 0)
    for _ in range(3):
        device("PUT", f"/api/session/{document['session_id']}/", document)
    Device.objects.filter(pk=world.device.pk).update(
        online=False, last_seen_at=timezone.now() - timedelta(hours=1)
    )
    Rule.objects.create(receiver=world.anna, person=world.anna, kind="device_silent", minutes=30)
    judge()
    tallies = Tallies()
    tallies.count([accept_session(world.device, document), None])
    tallies.keep()
    tallies.keep()
    note_sign(CONSUMER)
    text = Client().get("/metrics").content.decode()
    found = numbers(text)
    assert found[key] - before == 2
    assert found["blinklog_mqtt_documents_total", (("outcome", "duplicate"),)] == 1
    assert Tally.objects.get().count == 1
    assert found["blinklog_database_up", ()] == 1
    assert 0 <= found["blinklog_database_latency_seconds", ()] < 5
    assert found["blinklog_alerts_open", ()] == 1
    assert found["blinklog_outbox_depth", ()] == 0
    assert found["blinklog_devices", (("state", "silent"),)] == 1
    assert found["blinklog_devices", (("state", "never"),)] == 1
    assert found["blinklog_last_sign_age_seconds", (("part", "consumer"),)] < 60
    route = ("method", "PUT"), ("route", "api/session/<uuid:session_id>/"), ("status", "2xx")
    assert found["blinklog_request_seconds_count", route] >= 3
    for secret in ("anna", "carl", "Kitchen", document["session_id"], str(world.device.pk)):
        assert secret not in text


def test_a_page_of_addresses_that_nobody_has_is_one_number(world, allowed):
    for n in range(5):
        Client().get(f"/no/such/{n}/")
    text = Client().get("/metrics").content.decode()
    assert "/no/such/" not in text
    assert numbers(text)[
        "blinklog_request_seconds_count",
        (("method", "GET"), ("route", "none"), ("status", "4xx")),
    ]


def test_while_the_database_is_away_the_numbers_say_so(db, allowed, monkeypatch):
    def away(*_):
        raise OperationalError("gone")

    monkeypatch.setattr(metrics_page.DatabaseCollector, "_latency", away)
    found = numbers(Client().get("/metrics").content.decode())
    assert found["blinklog_database_up", ()] == 0


@pytest.mark.slow
def test_whichever_worker_is_asked_answers_for_all(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BLINKLOG_")}
    environment = kept | {
        "BLINKLOG_DATA_DIR": str(tmp_path),
        "BLINKLOG_METRICS_ALLOW": "127.0.0.1",
        "BLINKLOG_LOG": "json",
        "TMPDIR": str(tmp_path),
    }
    environment.pop("DATABASE_URL", None)
    subprocess.run([BLINK_SERVER, "migrate", "--quiet"], env=environment, check=True, timeout=60)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [BLINK_SERVER, "serve", "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_for(lambda: answers(port, "/healthz"))
        for _ in range(40):
            answers(port, "/readyz")
        route = (("method", "GET"), ("route", "readyz"), ("status", "2xx"))
        for _ in range(6):  # on new connections, so from either worker
            found = numbers(answers(port, "/metrics"))
            assert found["blinklog_request_seconds_count", route] == 40
    finally:
        server.terminate()
        server.wait(30)
    assert not list(tmp_path.glob("blinklog-metrics-*"))
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= set(said[0])
    assert any("Listening at" in each["message"] for each in said)


def answers(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.read().decode()
    except ConnectionError:
        return ""
    except urllib.error.URLError:
        return ""
