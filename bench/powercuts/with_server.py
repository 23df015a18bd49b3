"""The server's SQLite: documents that devices send, in any order and more than once.

After a cut the history must be exactly as it was after the last document that was accepted, or
after the one that was cut off; and sending the newest again changes nothing.
"""

import contextlib
import functools
import json
import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from bench.powercuts.part import Tally
from bench.powercuts.recording import Marker, scratch_folder
from tests.agent.documents import document

NAME = "blinklog.sqlite3"
STEPS, REOPENINGS = 120, 3
RESENT = 8  # documents sent again after a cut, as by a device that had no answer
AGAIN = 0.2  # share of documents that are sent once more

Document = dict[str, Any]
History = dict[str, Document]


def set_up() -> None:
    """Configure Django, unless that is done, with a data folder that is thrown away."""
    from django.conf import settings

    if not settings.configured:
        folder = tempfile.TemporaryDirectory(prefix="blinklog-cuts-", dir=scratch_folder())
        set_up.folder = folder  # type: ignore[attr-defined] # deleted at the end
        os.environ.update(BLINKLOG_DATA_DIR=folder.name, BLINKLOG_HTTPS="0")
        os.environ.pop("DATABASE_URL", None)
        os.environ["DJANGO_SETTINGS_MODULE"] = "server.config.settings"
        import django

        django.setup()


@contextlib.contextmanager
def database(path: Path) -> Iterator[None]:
    """Have Django use another SQLite file."""
    from django.db import connection

    connection.close()
    before = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = str(path)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


@functools.cache
def _empty() -> tuple[bytes, str]:
    """Return a database with one device, made once, and the device's id."""
    from django.core.management import call_command

    from server.care.models import Person
    from server.devices.models import Device

    with tempfile.TemporaryDirectory(dir=scratch_folder()) as scratch:
        path = Path(scratch) / NAME
        with database(path):
            call_command("migrate", verbosity=0)
            person = Person.objects.create_user("anna", timezone="Europe/Berlin")
            device = Device.objects.create(person=person, label="Kitchen")
        return path.read_bytes(), str(device.pk)


class Server:
    """What a device sends in some hours, at once."""

    def __init__(self, chance: Random) -> None:
        set_up()
        self._chance = chance
        self._sent: list[Document] = []

    def prepare(self, folder: Path) -> None:
        (folder / NAME).write_bytes(_empty()[0])

    def drive(self, folder: Path, mark: Marker) -> None:
        history: History = {}
        mark("start")
        for _ in range(REOPENINGS):
            with database(folder / NAME):
                for _ in range(STEPS // REOPENINGS):
                    self._sent.append(self._next(history))
                    mark("begin")
                    _accept(self._sent[-1])
                    _put(history, self._sent[-1])
                    mark("done")

    def _next(self, history: History) -> Document:
        chance = self._chance
        if self._sent and chance.random() < AGAIN:
            return chance.choice(self._sent)
        active = [each for each in history.values() if each["state"] == "active"]
        if not active or chance.random() < 0.3:
            return document(1, str(uuid.UUID(int=chance.getrandbits(128), version=4)))
        before = chance.choice(active)
        state = chance.choice(("active", "ended"))
        name = {"active": 1, "ended": 2}[state]  # of `document`: which of the golden ones
        changes = {"revision": before["revision"] + chance.randint(1, 3)}
        return {**document(name, before["session_id"]), **changes}

    def check(self, folder: Path, marks: Sequence[str], tally: Tally) -> None:
        from django.db import DatabaseError

        done, begun = marks.count("done"), marks.count("begin")
        before: History = {}
        for each in self._sent[:done]:
            _put(before, each)
        after = dict(before)
        for each in self._sent[done:begun]:
            _put(after, each)
        tally.sessions += len(before)
        with database(folder / NAME):
            try:
                found = _history()
                self._compare(found, before, after, tally)
                for each in self._sent[max(0, begun - RESENT) : begun]:
                    _accept(each)
                again = _history()
            except DatabaseError as error:
                tally.fail("could_not_open", str(error))
                return
        if again != after:
            kind = "doubled" if len(again) > len(after) else "wrong"
            tally.fail(kind, "sending the newest again made another history")

    def _compare(self, found: History, before: History, after: History, tally: Tally) -> None:
        for session_id in {*found, *before, *after}:
            allowed = before.get(session_id), after.get(session_id)
            there = found.get(session_id)
            if there in allowed:
                continue
            promised = before.get(session_id)
            older = promised and (there is None or there["revision"] < promised["revision"])
            tally.fail("lost" if older else "wrong", f"{session_id}: {json.dumps(there)[:80]}")


def _put(history: History, sent: Document) -> None:
    """Apply the rule: a higher revision replaces a lower one."""
    there = history.get(sent["session_id"])
    if there is None or there["revision"] < sent["revision"]:
        history[sent["session_id"]] = sent


def _accept(sent: Document) -> None:
    from server.devices.models import Device
    from server.session_data.accept import accept_session

    device = Device.objects.select_related("person").get(pk=_empty()[1])
    answer = accept_session(device, sent)
    if answer.outcome == "rejected":
        raise ValueError(answer.reason)


def _history() -> History:
    from server.session_data.models import SessionData

    rows = SessionData.objects.values_list("id", "document_json")
    return {str(key): json.loads(text) for key, text in rows}
