"""Delivery: what is pending in the store goes over the first transport that gets it acknowledged.

A document counts as delivered when the server says that its database committed it, and not before.
Every document may be sent any number of times, over any transport, in any order: the server's
revision rule makes the rest a no-op.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from agent.errors import DeliveryError, StoreError
from agent.records import Acknowledgement

log = logging.getLogger(__name__)

Document = dict[str, Any]

POLL_S = 0.25  # how often the store is asked for news: a start is on its way within a second
BATCH = 8  # documents in flight: enough to hide a round trip, little to send twice
ACK_S = 5.0  # a commit takes milliseconds; a late acknowledgement still counts
BASE_S = 1.0  # ceiling of the first delay
CAP_S = 300.0  # ceiling of all delays: what a person waits at most once the server is back
RETRY_AFTER_CAP_S = 3600.0  # a server's wish for longer is taken for an error
REPORT_S = 60.0  # a successful delivery is noted once a minute: every note wears the SD card
LOOK_S = 60.0  # a look into the store without news, should one ever be missed
ONCE_FAILURES = 2  # in a row end `once`


class Transport(Protocol):
    """A way to the server."""

    name: str

    def deliver(self, documents: Sequence[Document], timeout_s: float) -> Iterable[Acknowledgement]:
        """Sends documents; yields what the server says of each as it comes.

        Waits at most `timeout_s` for the next word. With no documents it only keeps its connection,
        or finds out whether what it failed with is over. Raises DeliveryError where this way does
        not work now.
        """

    def commands(self) -> list[Document]:
        """The commands that have come since the last call, unchecked."""

    def close(self) -> None:
        """Ends the connection."""


class Store(Protocol):
    """What delivery needs of the store."""

    def pending(self, limit: int, skip: Iterable[tuple[str, int]] = ()) -> list[Document]:
        """Documents that are not acknowledged."""

    def acknowledge(self, session_id: str, revision: int) -> bool:
        """Notes what the server has."""

    def park(self, session_id: str, revision: int, reason: str) -> bool:
        """Stops sending a revision."""

    def add_command(self, command: Document) -> bool:
        """Keeps a command; ValueError if it is none."""

    def note(self, key: str, value: Any) -> None:
        """Remembers a fact for `status`."""

    def noted(self, key: str) -> Any:
        """What was noted last."""

    def counts(self) -> Mapping[str, int]:
        """How many sessions are pending."""

    def data_version(self) -> object:
        """Changes when another process has written."""


class Backoff:
    """When a transport may be tried again.

    After each failure in a row the ceiling doubles, and the delay is drawn evenly below it (full
    jitter): a fleet that lost its server together does not come back together. A try that was
    hurried does not count: how often sessions come says nothing about how long the trouble lasts.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._draw = draw
        self._until_s = clock()
        self._failures = 0
        self._may_hurry = True
        self._hurried = False

    def ready(self) -> bool:
        """Whether the delay is over."""
        return self._clock() >= self._until_s

    @property
    def wait_s(self) -> float:
        """How long it still is until the next try."""
        return max(0.0, self._until_s - self._clock())

    def failed(self, retry_after_s: float | None = None) -> None:
        """Begins a delay. A server's own wish is the least of it, and can't be hurried."""
        now_s = self._clock()
        if now_s - self._until_s > CAP_S:  # a trouble of its own, long after the last
            self._failures = 0
        delay_s = self._draw(0, min(CAP_S, BASE_S * 2 ** min(self._failures, 30)))
        if retry_after_s is not None:
            delay_s += min(max(retry_after_s, 0), RETRY_AFTER_CAP_S)
        self._until_s = now_s + delay_s
        self._failures += not self._hurried
        self._may_hurry = retry_after_s is None and not self._hurried
        self._hurried = False

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self._until_s = self._clock()
        self._failures = 0
        self._may_hurry, self._hurried = True, False

    def hurry(self) -> None:
        """There is something new: ends the delay, but not two in a row."""
        if self._may_hurry and not self.ready():
            self._until_s = self._clock()
            self._may_hurry, self._hurried = False, True


Lane = tuple[Transport, Backoff]


class Sync:
    """Delivers from `store` over `transports`, the preferred one first.

    `alive` is called between any two waits, for a watchdog: the longest of them is a transport's
    own limit for one document.
    """

    def __init__(
        self,
        store: Store,
        transports: Sequence[Transport],
        *,
        ack_s: float = ACK_S,
        poll_s: float = POLL_S,
        backoff: Callable[[], Backoff] = Backoff,
        clock: Callable[[], float] = time.monotonic,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._lanes: list[Lane] = [(transport, backoff()) for transport in transports]
        self._ack_s = ack_s
        self._poll_s = poll_s
        self._alive = alive
        self._news = _News(store, clock)
        self._report = _Report(store, clock)
        self._work = True  # whether there may be something to send
        self._tried: set[tuple[str, int]] = set()  # sent in this round, not acknowledged
        self._ignored = False  # whether the server passed over any of those without a word

    def run(self, stop: threading.Event) -> None:
        """Delivers until `stop` is set.

        The failure policy. A transport that fails waits its own backoff; the others go on. A
        document that nobody acknowledges waits its turn behind all others, so that a bad one can't
        hold up the rest. A document that the server rejects is parked with the reason. Refused
        credentials, a dead network and a full disk mean the same here: keep everything, say so in
        `noted("delivery")`, try again later. Anything unforeseen ends the process, and systemd
        starts it anew: the store knows what was delivered.
        """
        said = ""
        while not stop.is_set():
            try:
                progress = self._step()
                self._alive()  # not after a StoreError: a store stuck for good is for the watchdog
                said = ""
            except StoreError as error:
                if said != (said := str(error)):  # once, not four times a second
                    log.error("the store failed: %s", said)
                self._fail_all()
                progress = False
            if not progress:
                stop.wait(self._poll_s)

    def once(self, timeout_s: float = 60.0) -> bool:
        """Delivers what is pending now, over all transports; says whether all of it went.

        Gives up after two failures in a row or `timeout_s`. Raises StoreError.
        """
        end_s = time.monotonic() + timeout_s
        failures = 0
        while failures < ONCE_FAILURES and time.monotonic() < end_s and (batch := self._batch()):
            failures = 0 if self._attempt(batch, self._lanes) else failures + 1
        return self._store.counts()["pending"] == 0

    def close(self) -> None:
        """Closes the transports."""
        for transport, _ in self._lanes:
            transport.close()

    def _step(self) -> bool:
        """Sends one batch over the transports that are ready; says whether it got any further."""
        if self._news.any():
            self._work = True
            if self._store.pending(1, skip=self._tried):
                for _, backoff in self._lanes:
                    backoff.hurry()
        self._take_commands()
        lanes = [lane for lane in self._lanes if lane[1].ready()]
        if not lanes:
            return False
        return self._attempt(self._batch() if self._work else [], lanes)

    def _batch(self) -> list[Document]:
        """What to send next. When everything has had its turn, what is left begins again."""
        batch = self._store.pending(BATCH, skip=self._tried)
        if not batch and self._tried:
            self._tried.clear()
            if self._ignored:  # sent, and no word on it: not again at once
                self._ignored = False
                self._fail_all()
                return []
            batch = self._store.pending(BATCH)
        self._work = bool(batch)
        return batch

    def _attempt(self, batch: list[Document], lanes: Sequence[Lane]) -> bool:
        """Hands a batch from one transport to the next until all of it is acknowledged."""
        left = {_key(document): document for document in batch}
        failed = False
        for transport, backoff in lanes:
            self._alive()
            try:
                acknowledged = self._deliver(transport, backoff, left)
            except DeliveryError as error:
                failed = True
                backoff.failed(error.retry_after_s)
                self._report.problem(transport.name, str(error), backoff.wait_s)
            else:
                if acknowledged or not (batch or self._work):
                    self._report.works(transport.name)
        # A transport that failed may have failed over the first of them, and not have come to the
        # others; one that did not fail has passed over all that are left.
        self._tried.update(list(left)[:1] if failed else left)
        self._ignored |= bool(left) and not failed
        if batch:
            self._report.delivered(len(batch) - len(left), len(left))
        return len(left) < len(batch)

    def _deliver(
        self, transport: Transport, backoff: Backoff, left: dict[tuple[str, int], Document]
    ) -> int:
        """Takes what is acknowledged out of `left`; returns how many words came."""
        count = 0
        for acknowledgement in transport.deliver(list(left.values()), self._ack_s):
            self._record(acknowledgement)
            left.pop((acknowledgement.session_id, acknowledgement.revision), None)
            backoff.succeeded()
            self._alive()
            count += 1
        return count

    def _record(self, acknowledgement: Acknowledgement) -> None:
        session_id, revision = acknowledgement.session_id, acknowledgement.revision
        if acknowledgement.outcome == "rejected":
            log.warning("session %s revision %d is rejected: see status", session_id, revision)
            self._store.park(session_id, revision, acknowledgement.reason or "no reason given")
            return
        if acknowledgement.outcome == "stale":  # the server will never take a lower one
            log.info("session %s: the server is beyond revision %d", session_id, revision)
        self._store.acknowledge(session_id, revision)

    def _take_commands(self) -> None:
        for transport, _ in self._lanes:
            for command in transport.commands():
                try:
                    known = not self._store.add_command(command)
                    log.info("command over %s%s", transport.name, ", known already" * known)
                except ValueError as error:
                    log.warning("no command over %s: %s", transport.name, error)

    def _fail_all(self) -> None:
        for _, backoff in self._lanes:
            backoff.failed()


class _News:
    """Tells when another process has written to the store."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._seen: object = None
        self._look_s = clock()

    def any(self) -> bool:
        version, now_s = self._store.data_version(), self._clock()
        if version == self._seen and now_s < self._look_s:
            return False
        self._seen, self._look_s = version, now_s + LOOK_S
        return True


class _Report:
    """Keeps `noted("delivery")` true, and the log short: what changes is said once.

    The note: `ok`, whether nothing is stuck; `at`, when that was found, to the minute; `problem`,
    what is wrong with which transport, or null; `contact`, when the server last acknowledged
    anything, and `next_try`, when a transport that failed is tried again, to the minute both, or
    null.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._problems: dict[str, str] = {}
        self._fresh = True  # whether what is noted is an earlier process's
        self._said: tuple[bool, str | None, bool] | None = None
        self._said_s = clock()
        self._ok = True
        self._count = 0
        self._contact: str | None = None
        self._next_try: str | None = None

    def problem(self, name: str, text: str, wait_s: float) -> None:
        if self._problems.get(name) != text:
            log.warning("%s: %s", name, text)
        self._problems[name] = text
        self._next_try = _moment(wait_s)
        self._note()

    def works(self, name: str) -> None:
        if self._problems.pop(name, None) is not None:
            log.info("%s works again", name)
            self._note()
        elif self._fresh and not self._problems:
            # As that this device was nobody's yet: else it stands until there is a session to send.
            if (self._store.noted("delivery") or {}).get("problem"):
                self._note()
            self._fresh = False

    def delivered(self, count: int, left: int) -> None:
        self._ok = not left
        self._count += count
        if count:
            self._contact = _moment()
        self._note()

    def _note(self) -> None:
        problem = "; ".join(f"{name}: {text}" for name, text in self._problems.items()) or None
        now_s = self._clock()
        news = self._ok, problem, self._contact is not None
        if news == self._said and now_s - self._said_s < REPORT_S:
            return
        self._said, self._said_s = news, now_s
        if self._count:
            log.info("delivered %d, %d to go", self._count, self._store.counts()["pending"])
            self._count = 0
        if self._contact is None:  # not since this process began, but before
            self._contact = (self._store.noted("delivery") or {}).get("contact")
        note = {"ok": self._ok, "at": _moment(), "problem": problem, "contact": self._contact}
        self._store.note("delivery", {**note, "next_try": self._next_try if problem else None})


def _moment(later_s: float = 0.0) -> str:
    """The wall clock, `later_s` from now."""
    return (datetime.now(UTC) + timedelta(seconds=later_s)).isoformat(timespec="seconds")


def _key(document: Document) -> tuple[str, int]:
    return document["session_id"], document["revision"]
