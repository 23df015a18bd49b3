"""The device's store: sessions, checkpoints, acknowledgements, commands, pruning, reopening.

After a cut the store must be exactly as it was after the last call that returned, or after the one
that was cut off.
"""

import contextlib
import json
import shutil
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from agent.clock import Clock
from agent.errors import StoreError
from agent.records import Document
from agent.store.store import Store
from bench.powercuts.part import Tally
from bench.powercuts.recording import Marker
from tests.agent.documents import document

NAME = "agent.sqlite3"
STEPS = 150
KEEP = 4
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)

LENGTHS = (0, 0, 0, 2_000, 60_000)  # characters added to a document: hours of minutes
WEIGHTS = {
    "begin": 4,
    "checkpoint": 8,
    "end": 4,
    "acknowledge": 7,
    "park": 1,
    "retry": 1,
    "prune": 2,
    "note": 2,
    "add_command": 2,
    "take_command": 2,
    "reopen": 1,
}


class StillClock(Clock):
    """No time passes, so that no command expires on a slow machine."""

    def monotonic_s(self) -> float:
        return 1000.0


STILL = StillClock()


@dataclass(slots=True)
class Session:
    """What the store should have of a session."""

    document: Document
    acked: int = 0
    parked: bool = False

    @property
    def revision(self) -> int:
        return int(self.document["revision"])

    @property
    def active(self) -> bool:
        return bool(self.document["state"] == "active")


@dataclass(slots=True)
class Expected:
    """What the store should have. Sessions are in the order of their beginnings."""

    sessions: dict[str, Session] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)  # not taken yet, oldest first
    note: int | None = None

    def copied(self) -> "Expected":
        sessions = {key: replace(each) for key, each in self.sessions.items()}
        return Expected(sessions, self.commands.copy(), self.note)

    def put(self, value: Document) -> None:
        session = self.sessions.setdefault(value["session_id"], Session(value))
        session.document, session.parked = value, False

    def prune(self) -> None:
        delivered = [
            session_id
            for session_id, each in self.sessions.items()
            if each.acked >= each.revision and not each.active
        ]
        for session_id in delivered[:-KEEP]:
            del self.sessions[session_id]


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the store, and what it changes."""

    name: str
    argument: Any = None

    def call(self, store: Store) -> None:
        value = self.argument
        match self.name:
            case "begin" | "checkpoint" | "end":
                store.put(value)
            case "acknowledge":
                store.acknowledge(*value)
            case "park":
                store.park(*value, "no")
            case "retry":
                store.retry(value)
            case "prune":
                store.prune(KEEP)
            case "note":
                store.note("delivery", value)
            case "add_command":
                store.add_command(_command(value))
            case "take_command":
                store.take_command()

    def apply(self, to: Expected) -> None:
        value = self.argument
        match self.name:
            case "begin" | "checkpoint" | "end":
                to.put(value)
            case "acknowledge":
                to.sessions[value[0]].acked = value[1]
                to.sessions[value[0]].parked = False
            case "park":
                to.sessions[value[0]].parked = True
            case "retry":
                to.sessions[value].parked = False
            case "prune":
                to.prune()
            case "note":
                to.note = value
            case "add_command":
                to.commands.append(value)
            case "take_command":
                del to.commands[:1]


class StoreCalls:
    """A random sequence of calls."""

    rescued = False  # whether it may have to be rescued
    steps = STEPS

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self._steps: list[Step] = []
        self.before = Expected()
        self._now = Expected()
        self._found = Expected()

    def drive(self, folder: Path, mark: Marker) -> None:
        self._now = self.before.copied()
        mark("start")
        with contextlib.ExitStack() as stack:
            store, other = self._two_stores(folder, stack)
            for _ in range(self.steps):
                step = self._next()
                self._steps.append(step)
                mark("begin")
                if step.name == "reopen":
                    stack.close()
                    store, other = self._two_stores(folder, stack)
                else:
                    step.call(other if step.name in ("acknowledge", "park") else store)
                step.apply(self._now)
                mark("done")

    def _two_stores(self, folder: Path, stack: contextlib.ExitStack) -> tuple[Store, Store]:
        """Those of `watch` and of `sync`."""
        watch, sync = (
            stack.enter_context(contextlib.closing(Store(folder / NAME, STILL))) for _ in range(2)
        )
        return watch, sync

    def _next(self) -> Step:
        chance, sessions = self.chance, self._now.sessions
        active = [each for each in sessions.values() if each.active]
        unsent = [each for each in sessions.values() if each.acked < each.revision]
        names = dict(WEIGHTS)
        if not active:
            del names["checkpoint"], names["end"]
        if not unsent:
            del names["acknowledge"], names["park"]
        parked = [session_id for session_id, each in sessions.items() if each.parked]
        if not parked:
            del names["retry"]
        name = chance.choices(list(names), list(names.values()))[0]
        argument: Any = None
        match name:
            case "begin":
                argument = self._document(1)
            case "checkpoint" | "end":
                argument = self._later(chance.choice(active).document, name)
            case "acknowledge" | "park":
                session = chance.choice(unsent)
                argument = session.document["session_id"], session.revision
            case "retry":
                argument = chance.choice(parked)
            case "note":
                argument = chance.getrandbits(30)
            case "add_command":
                argument = self.uuid()
        return Step(name, argument)

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def _document(self, revision: int, session_id: str | None = None, **changes: Any) -> Document:
        length = self.chance.choice(LENGTHS)
        padding = {"padding": self.chance.randbytes(length // 2).hex()} if length else {}
        return document(revision, session_id or self.uuid(), **changes, **padding)

    def _later(self, value: Document, name: str) -> Document:
        state = "active" if name == "checkpoint" else "ended"
        return self._document(value["revision"] + 1, value["session_id"], state=state)

    # After a cut

    def check(self, folder: Path, marks: Sequence[str], tally: Tally) -> None:
        before = self.before.copied()
        for step in self._steps[: marks.count("done")]:
            step.apply(before)
        after = before.copied()
        if marks.count("begin") > marks.count("done"):
            self._steps[marks.count("done")].apply(after)
        tally.sessions += len(before.sessions)
        try:
            store = Store(folder / NAME, STILL)
        except StoreError as error:
            tally.fail("could_not_open", str(error))
            return
        with contextlib.closing(store):
            self._found = _found(store, folder / NAME)
            if compare(self._found, before, after, tally):
                _go_on(store, tally)
        if not self.rescued and any(folder.glob("*.damaged-*")):
            tally.fail("could_not_open", "the store was damaged, and rescued")


class DeviceStore(StoreCalls):
    """The calls on a store that is empty at first, or on what a cut left."""

    _left: Path | None = None

    def prepare(self, folder: Path) -> None:
        if self._left is not None:
            shutil.copytree(self._left, folder, dirs_exist_ok=True)

    def resumed(self, left: Path, chance: Random) -> "DeviceStore":
        """Return the use of what the last cut left, so that recovering from it is cut off too."""
        again = DeviceStore(chance)
        again.before, again._left = self._found, left
        return again


def _found(store: Store, path: Path) -> Expected:
    sessions = {
        each.session_id: Session(each.document, each.acked_revision, each.parked_reason is not None)
        for each in reversed(list(store.newest()))
    }
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT id FROM commands WHERE taken = 0 ORDER BY number")
        commands = [command_id for (command_id,) in rows]
    return Expected(sessions, commands, store.noted("delivery"))


def compare(found: Expected, before: Expected, after: Expected, tally: Tally) -> bool:
    """Return whether a store is as it was before or after the call that was cut off."""
    failures = tally.count
    for session_id in {*before.sessions, *after.sessions, *found.sessions}:
        now, *allowed = (each.sessions.get(session_id) for each in (found, before, after))
        if now not in allowed:
            tally.fail(*_judged(session_id, allowed[0], now))
    if found.commands not in (before.commands, after.commands):
        missing = set(before.commands) & set(after.commands) - set(found.commands)
        tally.fail("lost" if missing else "doubled", f"commands: {found.commands}")
    if found.note not in (before.note, after.note):
        tally.fail("lost", "a note")
    return tally.count == failures


def _judged(session_id: str, promised: Session | None, found: Session | None) -> tuple[str, str]:
    """Return what is the matter with a session, and its description."""
    if promised is None:
        return "wrong", f"{session_id}: there again, or never begun"
    if found is None:
        return "lost", f"{session_id}: not there, expected revision {promised.revision}"
    if found.revision < promised.revision:
        return "lost", f"{session_id}: expected {promised.revision}, found {found.revision}"
    if found.acked < promised.acked:
        return "doubled", f"{session_id}: acknowledged {promised.acked}, sent again {found.acked}"
    return "wrong", f"{session_id}: is not as it was written"


def _go_on(store: Store, tally: Tally) -> None:
    """As after a start: end what was interrupted, measure, deliver, delete."""
    for each in store.unfinished():
        store.put({**each, "revision": each["revision"] + 1, "state": "interrupted"})
    store.put(document(1))
    store.put(document(2))
    for each in store.pending(1000):
        store.acknowledge(each["session_id"], each["revision"])
    store.prune(KEEP)
    counts = store.counts()
    if counts["pending"] or counts["delivered"] > KEEP + 1:
        tally.fail("wrong", f"it does not go on: {json.dumps(counts)}")


def _command(command_id: str) -> Document:
    later = NOW + timedelta(seconds=20)
    return {"id": command_id, "command": "start", "expires_at": later.isoformat()}
