"""The log says what happened, and nobody's name."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
from django.db import DataError
from django.test import Client

from server.common.logs import logging_settings
from server.common.mqtt import Message
from server.dashboard import pages as views
from server.ingest.batches import take as stored
from server.session_data import accept, receive
from tests.server.conftest import PASSWORD, golden

NAMES = ("anna", "carl", "Otto", "anna@example.org", "Kitchen", "203.0.113.9", "hunter2")


@pytest.fixture(params=["line", "json"])
def log(request, monkeypatch) -> Iterator[io.StringIO]:
    """What is logged as it would be, into a text."""
    text = io.StringIO()
    settings = logging_settings(request.param)
    settings["handlers"]["stderr"]["stream"] = text
    before = {
        name: each.level
        for name, each in logging.root.manager.loggerDict.items()
        if hasattr(each, "level")
    }
    logging.config.dictConfig(settings)
    yield text
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_whatever_people_and_devices_do_the_log_names_nobody(
    world, api, log, monkeypatch, settings
):
    settings.ALLOWED_HOSTS = ["testserver"]
    session = golden("final")
    person = world.anna
    person.email = "anna@example.org"
    person.save()
    client = Client(raise_request_exception=False, REMOTE_ADDR="203.0.113.9")
    client.post("/login/", {"username": "anna", "password": "hunter2"})
    client.post("/login/", {"username": "anna", "password": PASSWORD})
    client.get("/people/anna/")
    client.get("/people/nobody/")
    client.get(f"/sessions/{session['session_id']}/")
    client.get("/", headers={"Host": "anna.hunter2.example"})
    device = api("device")
    device("PUT", f"/api/session/{session['session_id']}/", session)
    device("PUT", f"/api/session/{session['session_id']}/", {"revision": "hunter2"})

    def fall(*_: object) -> None:
        raise DataError("Key (username)=(anna) in Kitchen: hunter2")

    monkeypatch.setattr(views, "viewer_of", fall)
    assert client.get("/people/anna/").status_code == 500
    monkeypatch.setattr(accept, "_store", fall)
    device(
        "PUT",
        f"/api/session/{session['session_id']}/",
        golden("final", session_id=session["session_id"]),
    )
    logging.getLogger("server.x").exception("our own", exc_info=DataError("hunter2"))
    logging.getLogger("gunicorn.error").error(
        "Error handling request %s", "/people/anna/", exc_info=DataError("hunter2")
    )
    logging.getLogger("gunicorn.error").warning("Invalid request from ip=203.0.113.9: hunter2")
    said = log.getvalue()
    for name in (*NAMES, session["session_id"], str(world.device.pk), PASSWORD):
        assert name not in said, said
    assert "a request of people/<str:username>/ failed: DataError in" in said
    assert "a request was refused (DisallowedHost)" in said
    assert "our own: DataError" in said
    if said.startswith("{"):
        for line in said.splitlines():
            assert {"time", "level", "logger", "message"} == set(json.loads(line)), line


def test_a_fault_with_a_message_is_told_by_its_place(world, log, monkeypatch):
    def fall(*_: object) -> None:
        raise ValueError("hunter2")

    monkeypatch.setattr(receive, "receive", fall)
    assert stored([Message(f"blinklog/1/devices/{world.device.pk}/sessions", b"{}")]) == [None]
    assert "hunter2" not in log.getvalue()
    assert "ValueError in" in log.getvalue()


def test_what_gunicorn_says_of_its_workers_stays(log):
    logging.getLogger("gunicorn.error").info("Booting worker with pid: %s", 17)
    logging.getLogger("gunicorn.error").error("Worker (pid:%s) was sent SIGKILL!", 17)
    logging.getLogger("gunicorn.error").critical("WORKER TIMEOUT (pid:%s)", 18)
    logging.getLogger("gunicorn.error").error("Worker (pid:%s) exited with code %s.", 19, 3)
    assert "pid: 17" in log.getvalue()
    assert "WORKER TIMEOUT (pid:18)" in log.getvalue()
    assert "Worker (pid:19) exited with code 3." in log.getvalue()
    assert "%s" not in log.getvalue()
    assert "was sent SIGKILL" in log.getvalue()
