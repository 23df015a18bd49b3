"""Bring the store up to date between sessions, and retry until it can be written."""

import itertools
import logging
from collections.abc import Callable
from datetime import timedelta

from agent.clock import Clock
from agent.errors import StoreBusyError, StoreError
from agent.measure.document import interrupted, with_true_time
from agent.records import Document, Store
from agent.watch.saving import Kept, keep, note, write

log = logging.getLogger(__name__)

RETRY_S = 5.0  # how often to try again: each attempt waits for a lock, or wears the card


class Upkeep:
    """Closes interrupted sessions, takes in files beside the store, corrects dates, and prunes.

    A final document that can be written nowhere stays in memory and is tried again. While the store
    is locked, this work waits and sessions go on: `step` raises no StoreBusyError.
    """

    def __init__(self, store: Store, clock: Clock, keep_sessions: int) -> None:
        self._store = store
        self._clock = clock
        self._keep_sessions = keep_sessions
        self._behind = True  # whether the store may lack a document
        self._ended = False  # whether a session has ended since the store was pruned
        self._logged = False  # whether the log says that the store is locked
        self._dated = False  # whether all sessions of this boot have their true date
        self._retry_s = clock.monotonic_s()
        self._unsaved: list[Document] = []

    @property
    def unsaved(self) -> bool:
        """Whether there are documents in memory alone."""
        return bool(self._unsaved)

    def finished(self, document: Document) -> None:
        """Save a final document, and then prune the store if it can be written."""
        self._ended = True
        if self._keep(document) == "stored":
            self._try(self._tidy)
        else:
            self._behind = True

    def spooled(self) -> None:
        """Remember that there is a document beside the store."""
        self._behind = True

    def step(self) -> None:
        """Do what is due: see the class. Raises StoreError if the store fails."""
        if self._behind:
            now_s = self._clock.monotonic_s()
            if now_s < self._retry_s:
                return
            self._retry_s = now_s + RETRY_S
        self._try(self._catch_up)

    def last_try(self) -> None:
        """Save the documents in memory before the process exits."""
        self._save_unsaved()
        for document in self._unsaved:
            log.error("session %s could be saved nowhere", document["session_id"])

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._logged = False
        except StoreBusyError as error:
            self._behind = True
            if not self._logged:  # once, not at each attempt
                log.warning("this waits: %s", error)
            self._logged = True

    def _catch_up(self) -> None:
        if self._behind:
            self._save_unsaved()
            if self._take_in():
                self._dated = False
            if not self._unsaved:  # the last checkpoint must not replace a final document
                self._close_interrupted()
            self._tidy()
            self._behind = bool(self._unsaved)
        self._correct_dates()

    def _take_in(self) -> int:
        """Take in documents from beside the store. On a full disk, delivered sessions make room."""
        try:
            return self._store.take_in()
        except StoreBusyError:
            raise
        except StoreError:
            if self._store.problem() is not None:
                self._store.prune(0)
            return self._store.take_in()

    def _tidy(self) -> None:
        if self._ended:
            self._store.prune(self._keep_sessions)
        self._ended = False
        note(self._store, {"state": "ready"})

    def _save_unsaved(self) -> None:
        waiting, self._unsaved = self._unsaved, []
        for document in waiting:
            self._keep(document)

    def _keep(self, document: Document) -> Kept:
        kept = keep(self._store, document)
        if kept == "unsaved":
            self._unsaved.append(document)
        return kept

    def _close_interrupted(self) -> None:
        """Mark sessions that are still active as interrupted, as of their last checkpoint."""
        for document in self._store.unfinished():
            write(self._store, interrupted(document))
            log.warning("session %s was interrupted", document["session_id"])

    def _correct_dates(self) -> None:
        """Once the wall clock is synchronised, give earlier sessions of this boot their true date.

        With chrony and ntpd this may happen more than once: some hours after the network is lost,
        they report the clock as unsynchronised.
        """
        if not self._clock.synchronized():
            self._dated = False
            return
        if self._dated:
            return
        booted_at = self._clock.now() - timedelta(seconds=self._clock.monotonic_s())
        boot_id = self._clock.boot_id()
        newest = (stored.document for stored in self._store.newest())
        for document in itertools.takewhile(lambda it: it["clock"]["boot_id"] == boot_id, newest):
            clock = document["clock"]
            if not clock["synchronized"] and document["state"] != "active":
                began_at = booted_at + timedelta(seconds=clock["monotonic_start_s"])
                zone = self._clock.zone_facts(began_at)
                self._store.put(with_true_time(document, began_at, zone))
        self._dated = True  # set last, so that a StoreError leads to another attempt
