"""The database goes away and comes back, under the real `serve`: clients are told, nothing is lost.

What the consumer does then is in test_consumer.py.
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.postgres import Postgres, needs_postgres
from tests.server.conftest import golden
from tests.server.operations.test_cli import address_in

BLINK_SERVER = Path(sys.executable).with_name("blink-server")
PATIENCE_S = 30


class Serving:
    """`blink-server serve` over the database at `url`."""

    def __init__(self, folder, url):
        self.environment = {
            **os.environ,
            "DATABASE_URL": url,
            "BLINKLOG_DATA_DIR": str(folder),
            "BLINKLOG_HTTPS": "0",
        }
        self.run("migrate", "--quiet")
        self.run("create-person", "anna")
        made = self.run("create-device", "--person", "anna", "--name", "K", "--json")
        self.token = json.loads(made)["token"]
        log = folder / "log"
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [BLINK_SERVER, "serve", "--bind", "127.0.0.1:0", "--workers", "1"],
                env=self.environment,
                stderr=file,
            )
        self.base = address_in(log, self.process)

    def run(self, *arguments):
        command = [BLINK_SERVER, *arguments]
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, timeout=60
        ).stdout

    def post(self, document):
        """Status, Retry-After and body."""
        request = urllib.request.Request(
            self.base + "/api/session/start/",
            json.dumps(document).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, None, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Retry-After"], json.load(error)

    def page(self):
        """Status and Retry-After of the overview, asked for with a session's cookie."""
        cookie = f"{settings.SESSION_COOKIE_NAME}={'a' * 32}"
        request = urllib.request.Request(self.base + "/", headers={"Cookie": cookie})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Retry-After"]

    def deliver(self, document):
        """As a device does: again, until it is taken."""
        deadline = time.monotonic() + PATIENCE_S
        while (said := self.post(document))[0] == 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return said

    def end(self):
        self.process.kill()
        self.process.wait()


def goes_and_comes_back(serving, go, come_back):
    assert serving.post(golden("started"))[0] == 201
    document = golden("started")
    go()
    for _ in range(2):
        status, retry_after, body = serving.post(document)
        assert (status, body["code"]) == (503, "database_unavailable")
        assert int(retry_after) > 0
    come_back()
    assert serving.deliver(document)[2]["outcome"] == "stored"
    assert serving.post(document)[2]["outcome"] == "duplicate"
    assert serving.process.poll() is None


@pytest.mark.slow
@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_a_locked_sqlite_file_is_waited_for_and_then_said_to_be_away(tmp_path):
    path = tmp_path / "blinklog.sqlite3"
    serving = Serving(tmp_path, f"sqlite:///{path}?timeout=1")
    blocker = sqlite3.connect(path, isolation_level=None)
    try:
        goes_and_comes_back(
            serving,
            lambda: blocker.execute("BEGIN IMMEDIATE"),
            lambda: blocker.execute("ROLLBACK"),
        )
    finally:
        blocker.close()
        serving.end()


@needs_postgres
@pytest.mark.needs_postgres
@pytest.mark.skipif(connection.vendor == "sqlite", reason="runs with PostgreSQL's turn")
def test_a_postgresql_that_ends_and_starts_again_is_found_again(tmp_path):
    postgres = Postgres()
    postgres.start()
    serving = None
    try:
        serving = Serving(tmp_path, postgres.url)

        def stop():
            postgres.stop()
            assert serving.page() == (503, "5")

        goes_and_comes_back(serving, stop, postgres.start)
        assert serving.page() == (200, None)
    finally:
        if serving is not None:
            serving.end()
        postgres.remove()
