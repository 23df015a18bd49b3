"""A session's way into the store while its frames come: none of them waits for the disk."""

import concurrent.futures
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from agent.clock import Clock
from agent.errors import StoreError
from agent.measure.document import Document
from agent.measure.recording import Recording
from agent.system import systemd

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_S = 0.5  # how often a session looks for commands, and tells the watchdog of its frames
LATE_SHARE = 0.05  # of the frames dropped: one now and then is no news
SETTLE_S = 10.0  # for the last answer, once the final document is kept


class Store(Protocol):
    """What there is to be asked."""

    def put(self, document: Document) -> bool:
        """Keeps a document if its revision is higher."""

    def problem(self) -> str | None:
        """Why no session could begin now, or None."""

    def prune(self, keep: int) -> int:
        """Forgets the oldest delivered sessions beyond `keep`."""

    def take_command(self, now: datetime) -> Document | None:
        """The next command that is neither expired nor taken."""

    def note(self, key: str, value: Any) -> None:
        """Remembers a fact for `status`."""


class Worker(Protocol):
    """Another thread, with a store of its own."""

    def submit(self, call: Callable[[Store], T]) -> "Future[T]":
        """Has `call` made there, and returns at once."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of a question: of a checkpoint whether it is kept, of a look the command."""

    kept: bool | None = None
    command: Document | None = None


class Checkpoints:
    """Keeps what `recording` has measured every `checkpoint_s` seconds, and looks for commands.

    The store is asked one thing at a time. While it takes its time, frames go on; a checkpoint that
    is due is made when the store is free again, so what is written is the newest, and nothing
    queues up. The watchdog is told of every answer: of frames, and of a store that works.
    """

    def __init__(
        self, recording: Recording, worker: Worker, clock: Clock, checkpoint_s: float
    ) -> None:
        self.kept = True  # whether the newest checkpoint is
        self._recording = recording
        self._worker = worker
        self._clock = clock
        self._checkpoint_s = checkpoint_s
        self._late = False
        self._looked_s = self._kept_s = recording.age_s
        self._asked = worker.submit(self._look)

    def after_frame(self) -> bool:
        """Takes the store's answer and asks again; says whether a command ends the session."""
        age_s = self._recording.age_s
        due = age_s - self._kept_s >= self._checkpoint_s
        if not (due or age_s - self._looked_s >= LOOK_S) or not self._asked.done():
            return False
        answer = self._asked.result()
        systemd.watchdog()
        self._looked_s = age_s
        if answer.kept is not None:
            self.kept = answer.kept
        if self._clock.synchronized():
            self._recording.believe_clock()
        if due:
            self._kept_s = age_s
            self._see_if_late()
            write = partial(self._write, document=self._recording.document(), late=self._late)
        self._asked = self._worker.submit(write if due else self._look)
        return self._is_stop(answer.command)

    def settle(self) -> None:
        """Waits for the last answer, which nobody needs. Raises StoreError where none comes."""
        if not concurrent.futures.wait([self._asked], SETTLE_S).done:
            raise StoreError(f"the store did not answer within {SETTLE_S:g} s")

    def _see_if_late(self) -> None:
        """Says once that this device can't keep up with its camera."""
        dropped = self._recording.frames_dropped
        given = self._recording.frames + dropped
        if not self._late and dropped > LATE_SHARE * given:
            self._late = True
            log.warning("can't keep up: %d of %d frames were dropped so far", dropped, given)

    def _is_stop(self, command: Document | None) -> bool:
        if command is None or command["command"] != "stop":
            return False
        # A stop that comes late must not end the session after the one it was meant for.
        return command.get("session_id") in (None, self._recording.session_id)

    # In the other thread

    def _write(self, store: Store, document: Document, late: bool) -> _Answer:
        kept = keep(store, document)
        if kept and late:
            session_id = document["session_id"]
            note(store, {"state": "measuring", "session_id": session_id, "keeps_up": False})
        return _Answer(kept=kept)

    def _look(self, store: Store) -> _Answer:
        try:
            return _Answer(command=store.take_command(self._clock.now()))
        except StoreError as error:  # no reason to end what is measured
            log.debug("no look for commands: %s", error)  # the next checkpoint will say so
            return _Answer()


def keep(store: Store, document: Document) -> bool:
    """Writes a document; says whether it is kept.

    On a full disk delivered sessions make room for a session that has begun. They can't for one
    that begins: it needs the reserve, and a store's file gives no room back.
    """
    try:
        return _put(store, document)
    except StoreError as error:
        log.error("the store refused a session: %s", error)
    if document["revision"] == 1:
        return False
    try:
        if store.problem() is not None:  # another error is no reason to forget any
            store.prune(0)
        return _put(store, document)
    except OSError:
        return False


def note(store: Store, state: Document) -> None:
    """For `status`, which is not worth a session."""
    try:
        store.note("watch", state)
    except StoreError as error:
        log.warning("status can't be told: %s", error)


def _put(store: Store, document: Document) -> bool:
    kept = store.put(document)
    if not kept:
        log.warning("session %s is in the store already, and newer", document["session_id"])
    return kept
