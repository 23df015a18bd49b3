"""Delivery: send pending documents over the first transport that gets them acknowledged.

A document counts as delivered once the server says that its database committed it, and not before.
Every document may be sent any number of times, over any transport, in any order: the server's
revision rule makes repeats a no-op.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

from agent.errors import DeliveryError, StoreError
from agent.records import Document, Store
from agent.transport.base import DELETED, Acknowledgement, Command, Transport
from agent.transport.report import DeliveryReport
from agent.transport.settings import Settings
from agent.transport.views import Views

__all__ = ["Acknowledgement", "Backoff", "Sync", "Transport"]

log = logging.getLogger(__name__)

POLL_S = 0.25  # how often the store is polled for changes: a start is sent within a second
VIEW_S = 0.1  # the same while the camera is aimed: a view is written every 0.2 s
ACK_S = 5.0  # a commit takes milliseconds; a late acknowledgement still counts
BASE_S = 1.0  # upper limit of the first delay
CAP_S = 300.0  # upper limit of all delays; ENDS_LAST_S in mqtt.py and the server rely on it
RETRY_AFTER_CAP_S = 3600.0  # a longer delay requested by a server is assumed to be a mistake
LOOK_S = 60.0  # check the store this often even without a change, in case one was missed
FIRST_S = 1.0  # ask for commands this long after the start: the broker may be connected by then
NEVER_ACKNOWLEDGED = "the server says that it was deleted, but never acknowledged it"
ONCE_FAILURES = 2  # consecutive failures that end `once`


class Backoff:
    """The retry delay of one transport.

    The upper limit of the delay doubles with each consecutive failure. The delay is drawn uniformly
    below it (full jitter), so that many devices that lost the same server do not all return at
    once. A failure of a hurried attempt does not double it: how often sessions arrive says nothing
    about how long the outage will last.
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
        self._may_hurry = False  # nothing is delayed yet
        self._hurried = False

    def ready(self) -> bool:
        """Return whether the delay is over."""
        return self._clock() >= self._until_s

    @property
    def wait_s(self) -> float:
        """Seconds until the next attempt."""
        return max(0.0, self._until_s - self._clock())

    def failed(self, retry_after_s: float | None = None) -> None:
        """Start a delay.

        `retry_after_s`, the delay that the server asked for, is added to it. Such a delay can't be
        cut short by `hurry`.
        """
        now_s = self._clock()
        if now_s - self._until_s > CAP_S:  # a new outage, long after the last one
            self._failures = 0
        delay_s = self._draw(0, min(CAP_S, BASE_S * 2 ** min(self._failures, 30)))
        if retry_after_s is not None:
            delay_s += min(max(retry_after_s, 0), RETRY_AFTER_CAP_S)
        self._until_s = now_s + delay_s
        self._failures += not self._hurried
        self._may_hurry = retry_after_s is None and not self._hurried
        self._hurried = False

    def succeeded(self) -> None:
        """Reset the delay, so that the next failure counts as the first."""
        self._until_s = self._clock()
        self._failures = 0
        self._hurried = False

    def hurry(self) -> None:
        """End the delay because there is something new to send, but not twice in a row."""
        if self._may_hurry and not self.ready():
            self._until_s = self._clock()
            self._hurried = True  # what comes of it decides whether it may again


Lane = tuple[Transport, Backoff]


class Sync:
    """Delivers from `store` over `transports`, the preferred one first.

    `view` returns what `watch` sees while it aims the camera, or None.

    `device` is this device's id, whose settings are kept in the store.

    `alive` is called between any two waits, to ping a watchdog. The longest wait is a transport's
    own timeout for one document.
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
        view: Callable[[], Document | None] = lambda: None,
        device: str | None = None,
    ) -> None:
        self._store = store
        self._settings = Settings(store, transports, device, clock)
        self._views = Views(view, transports, clock)
        self._lanes: list[Lane] = [(transport, backoff()) for transport in transports]
        self._ack_s = ack_s
        self._poll_s = poll_s
        self._alive = alive
        self._news = _News(store, clock)
        self._report = DeliveryReport(store, clock)
        self._commands = _Commands(store, transports, clock, backoff(), alive)
        self._work = True  # whether there may be something to send
        self._tried: set[tuple[str, int]] = set()  # sent in this round but not acknowledged
        self._ignored = False  # whether any of those got no answer from a working transport

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set.

        The failure policy: a transport that fails waits for its own backoff; the others go on. A
        document that is not acknowledged waits until all others had their turn, so that a bad one
        can't block the rest. A document that the server rejects is parked with the reason. Invalid
        credentials, a dead network and a full disk are handled alike: keep everything, report it in
        `noted("delivery")` and retry later. Any unexpected error ends the process, and systemd
        restarts it: the store knows what was delivered.
        """
        logged = ""
        while not stop.is_set():
            try:
                progress = self._step()
                self._alive()  # not after a StoreError: the watchdog handles a store that is stuck
                logged = ""
            except StoreError as error:
                if logged != (logged := str(error)):  # log it once, not four times a second
                    log.error("the store failed: %s", logged)
                self._fail_all()
                progress = False
            if self._views.send():
                stop.wait(VIEW_S)
            elif not progress:
                stop.wait(self._poll_s)

    def once(self, timeout_s: float = 60.0) -> bool:
        """Deliver what is pending now, over all transports. Return whether all was delivered.

        Gives up after `ONCE_FAILURES` consecutive failures or `timeout_s` seconds. Raises
        StoreError.
        """
        end_s = time.monotonic() + timeout_s
        failures = 0
        while failures < ONCE_FAILURES and time.monotonic() < end_s:
            if not (batch := self._batch(self._lanes)):
                break
            failures = 0 if self._attempt(batch, self._lanes) else failures + 1
        return self._store.counts()["pending"] == 0

    def close(self) -> None:
        """Close the transports."""
        for transport, _ in self._lanes:
            transport.close()

    def _step(self) -> bool:
        """Send one batch over the transports that are ready. Return whether there was progress."""
        if self._news.any():
            self._work = True
            if self._store.pending(1, skip=self._tried):
                for _, backoff in self._lanes:
                    backoff.hurry()
        self._commands.take()
        self._settings.take()
        lanes = [lane for lane in self._lanes if lane[1].ready()]
        if not lanes:
            return False
        return self._attempt(self._batch(lanes) if self._work else [], lanes)

    def _batch(self, lanes: Sequence[Lane]) -> list[Document]:
        """Return the documents to send next: as many as the first of the transports takes at once.

        Once all have been tried, start over with the rest.
        """
        most = lanes[0][0].at_once
        batch = self._store.pending(most, skip=self._tried)
        if not batch and self._tried:
            self._tried.clear()
            if self._ignored:  # sent but not answered: wait before sending them again
                self._ignored = False
                self._fail_all()
                return []
            batch = self._store.pending(most)
        self._work = bool(batch)
        return batch

    def _attempt(self, batch: list[Document], lanes: Sequence[Lane]) -> bool:
        """Pass a batch from one transport to the next until all of it is acknowledged."""
        left = {_key(document): document for document in batch}
        failed = False
        for transport, backoff in lanes:
            self._alive()
            try:
                acknowledged = self._deliver(transport, backoff, left)
            except DeliveryError as error:
                failed = True
                backoff.failed(error.retry_after_s)
                self._report.problem(transport.name, error, backoff.wait_s)
            else:
                if acknowledged or not (batch or self._work):
                    self._report.works(transport.name)
        # A failed transport may have failed because of the first document and not have reached the
        # others. A transport that did not fail has tried all that are left.
        self._tried.update(list(left)[:1] if failed else left)
        self._ignored |= bool(left) and not failed
        if batch:
            self._report.delivered(len(batch) - len(left), len(left))
        return len(left) < len(batch)

    def _deliver(
        self, transport: Transport, backoff: Backoff, left: dict[tuple[str, int], Document]
    ) -> int:
        """Remove acknowledged documents from `left`. Return the number of acknowledgements.

        An acknowledgement that the store could not match leaves its document unacknowledged: it is
        sent again, but not before a backoff.
        """
        count = 0
        for acknowledgement in transport.deliver(list(left.values()), self._ack_s):
            key = acknowledgement.session_id, acknowledgement.revision
            if not self._record(acknowledgement) and key in left:
                log.error("session %s revision %d: acknowledged, but not found in the store", *key)
                continue
            left.pop(key, None)
            backoff.succeeded()
            self._alive()
            count += 1
        return count

    def _record(self, acknowledgement: Acknowledgement) -> bool:
        """Record an acknowledgement; return whether that changed the store."""
        session_id, revision = acknowledgement.session_id, acknowledgement.revision
        if acknowledgement.outcome == "rejected":
            log.warning("session %s revision %d was rejected: see status", session_id, revision)
            reason = acknowledgement.reason or "no reason given"
            return self._store.park(session_id, revision, reason)
        if acknowledgement.outcome == "stale" and acknowledgement.reason == DELETED:
            return self._record_deleted(session_id, revision)
        if acknowledgement.outcome == "stale":  # the server never accepts a lower revision
            log.info("session %s: the server has a newer revision than %d", session_id, revision)
        return self._store.acknowledge(session_id, revision)

    def _record_deleted(self, session_id: str, revision: int) -> bool:
        """Stop sending a session that was deleted at the server.

        A session of which the server never acknowledged a revision is parked, not acknowledged: it
        may be somebody else's that was deleted, and this may be the only copy.
        """
        if self._store.acknowledged(session_id):
            log.info("session %s was deleted at the server", session_id)
            return self._store.acknowledge(session_id, revision)
        log.warning("session %s was deleted before it was acknowledged: see status", session_id)
        return self._store.park(session_id, revision, NEVER_ACKNOWLEDGED)

    def _fail_all(self) -> None:
        for _, backoff in self._lanes:
            backoff.failed()


class _News:
    """Detects writes to the store by other processes."""

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


class _Commands:
    """Puts the commands of all transports into the store, which gives each out once.

    A transport that has to be asked is asked only while no other one is listening, and once more
    after one has begun to: a command that was sent just before then is not repeated for it. A
    server that does not answer is asked with a backoff of its own, because it may still accept
    documents, or the other way round.
    """

    def __init__(
        self,
        store: Store,
        transports: Sequence[Transport],
        clock: Callable[[], float],
        backoff: Backoff,
        alive: Callable[[], None],
    ) -> None:
        self._store = store
        self._transports = transports
        self._clock = clock
        self._backoff = backoff
        self._alive = alive
        self._ask_s = clock() + FIRST_S  # when to ask next
        self._missed = True  # whether a command may have been sent while nobody listened
        self._problem = ""

    def take(self) -> None:
        """Take the commands that have arrived; ask for commands if it is time to."""
        for transport in self._transports:
            if transport.ask_s is None:
                self._keep(transport, transport.commands())
        listening = any(transport.listening for transport in self._transports)
        if not listening:
            self._missed = True
        if self._missed and self._clock() >= self._ask_s and self._backoff.ready():
            for transport in self._transports:
                if transport.ask_s is not None and self._ask(transport, transport.ask_s):
                    self._missed = not listening

    def _ask(self, transport: Transport, ask_s: float) -> bool:
        """Return whether the server answered."""
        self._alive()
        try:
            commands = transport.commands()
        except DeliveryError as error:
            self._backoff.failed(error.retry_after_s)
            if str(error) != self._problem:
                log.warning("can't ask for commands over %s: %s", transport.name, error)
            self._problem = str(error)
            return False
        self._backoff.succeeded()
        self._problem = ""
        self._ask_s = self._clock() + ask_s
        self._keep(transport, commands)
        return True

    def _keep(self, transport: Transport, commands: Sequence[Command]) -> None:
        for command in commands:
            try:
                known = not self._store.add_command(command.document, command.left_s)
                if not (known and transport.ask_s):  # which is told again at each request
                    log.info("command over %s%s", transport.name, ", already known" * known)
            except ValueError as error:
                log.warning("invalid command over %s: %s", transport.name, error)


def _key(document: Document) -> tuple[str, int]:
    return document["session_id"], document["revision"]
