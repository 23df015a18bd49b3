"""The real `serve` with a real streaming replica: one that is paused, killed and promoted.

While replaying is paused, the replica shows the past: so it can be seen what is read from it.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from tests.postgres import Postgres, needs_postgres
from tests.server.conftest import golden
from tests.server.operations.test_cli import address_in

BLINK_SERVER = Path(sys.executable).with_name("blink-server")
PATIENCE_S = 30
LONG_S, SHORT_S = "3600", "1"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs_postgres,
    needs_postgres,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="brings its own PostgreSQL"),
]


class Pair:
    """A primary, its replica, and people who may see Anna."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.primary = Postgres()
        self.primary.start()
        self.replica = None
        self.environment = {
            **os.environ,
            "DATABASE_URL": self.primary.url,
            "BLINKLOG_DATA_DIR": str(folder),
            "BLINKLOG_HTTPS": "0",
        }
        self.run("migrate", "--quiet")
        self.tokens = {
            name: json.loads(self.run("create-person", name, "--token", "--json"))["token"]
            for name in ("anna", "carl")
        }
        self.run("link", "carl", "anna")
        made = self.run("create-device", "--person", "anna", "--name", "K", "--json")
        self.tokens["device"] = json.loads(made)["token"]
        self.replica = Postgres(of=self.primary)
        self.replica.start()
        self.environment["BLINKLOG_REPLICA_URL"] = self.replica.url

    def run(self, *arguments):
        command = [BLINK_SERVER, *arguments]
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, timeout=60
        ).stdout

    def serve(self, lag_s):
        log = self.folder / f"log-{lag_s}"
        with log.open("w") as file:
            process = subprocess.Popen(
                [BLINK_SERVER, "serve", "--bind", "127.0.0.1:0", "--workers", "1"],
                env=self.environment | {"BLINKLOG_REPLICA_LAG_S": lag_s},
                stderr=file,
            )
        self.processes.append(process)
        return Server(address_in(log, process), self.tokens)

    def on_replica(self, query):
        with psycopg.connect(self.replica.url, autocommit=True) as opened:
            return opened.execute(query).fetchone()[0]

    def pause(self):
        self.caught_up()
        self.on_replica("SELECT pg_wal_replay_pause()::text")
        until(lambda: self.on_replica("SELECT pg_get_wal_replay_pause_state()") == "paused")

    def resume(self):
        self.on_replica("SELECT pg_wal_replay_resume()::text")
        self.caught_up()

    def caught_up(self):
        with psycopg.connect(self.primary.url, autocommit=True) as opened:
            (written,) = opened.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        reached = f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"
        until(lambda: self.on_replica(reached))

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
        for each in (self.replica, self.primary):
            if each is not None:
                each.remove()


class Server:
    """A `serve` over both."""

    def __init__(self, base, tokens):
        self.base, self.tokens = base, tokens

    def ask(self, who, method, path, body=None):
        """Status and body."""
        request = urllib.request.Request(
            self.base + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                text = answer.read().decode()
                is_json = answer.headers["Content-Type"] == "application/json"
                return answer.status, json.loads(text) if is_json else text
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def history(self, who="carl"):
        status, body = self.ask(who, "GET", "/api/session/history/?user=anna")
        assert status == 200, body
        return {each["id"] for each in body["results"]}

    def device_sends(self):
        document = golden("final")
        assert self.ask("device", "POST", "/api/session/start/", document)[0] == 201
        return document["session_id"]

    def health(self):
        status, body = self.ask("anna", "GET", "/readyz")
        assert status == 200
        return body["replica"]


def until(true):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    pair = Pair(tmp_path_factory.mktemp("pair"))
    yield pair
    pair.end()


@pytest.fixture(scope="module")
def patient(pair):
    """Reads from the replica however old that is."""
    return pair.serve(LONG_S)


@pytest.fixture(scope="module")
def strict(pair):
    """Reads from a replica that is not more than a second behind."""
    return pair.serve(SHORT_S)


@pytest.fixture
def paused(pair, patient):
    """Replaying is paused, after one session of a device."""
    before = patient.device_sends()
    until(lambda: patient.health() == "ok")
    until(lambda: before in patient.history())
    pair.pause()
    yield before
    pair.resume()


def test_history_summary_and_exports_are_read_from_the_replica(patient, paused):
    later = patient.device_sends()
    found = patient.history()
    assert paused in found
    assert later not in found
    assert later not in patient.ask("carl", "GET", "/api/session/export/?user=anna")[1]
    # One session is read from the primary, with the permissions in the same query.
    assert patient.ask("carl", "GET", f"/api/session/{later}/")[0] == 200


def test_what_one_has_just_written_is_read_from_the_primary(pair, patient, paused):
    later = patient.device_sends()
    status, own = patient.ask("anna", "POST", "/api/session/start/", {})
    assert status == 201
    for who in ("anna", "carl"):  # the writer, and those who read what she wrote
        assert {own["id"], later} <= patient.history(who)
    pair.resume()
    until(lambda: {own["id"], later} <= patient.history())


def test_ended_sharing_has_ended_though_the_replica_does_not_know(pair, patient, paused):
    assert patient.ask("carl", "GET", "/api/session/history/?user=anna")[0] == 200
    pair.run("unlink", "carl", "anna")
    for path in ("history", "summary", "export"):
        assert patient.ask("carl", "GET", f"/api/session/{path}/?user=anna")[0] in (403, 404)
    pair.run("link", "carl", "anna")


def test_a_replica_that_lags_more_than_the_bound_is_not_read(pair, strict, paused):
    later = strict.device_sends()
    until(lambda: strict.health() == "lagging")
    assert later in strict.history()
    pair.resume()
    until(lambda: strict.health() == "ok")


def test_a_replica_that_is_killed_is_done_without_and_found_again(pair, patient, strict):
    until(lambda: strict.health() == "ok")
    pair.replica.kill()
    for server in (patient, strict):
        assert server.device_sends() in server.history()
        assert server.health() == "away"
    pair.replica.start()
    for server in (patient, strict):
        until(lambda server=server: server.health() == "ok")


def test_a_replica_that_was_promoted_is_not_read(pair, strict):
    pair.caught_up()
    assert pair.on_replica("SELECT pg_promote()")
    until(lambda: strict.health() == "away")
    assert strict.device_sends() in strict.history()
