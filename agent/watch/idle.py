"""Choose what the light shows between sessions: ready, unsent sessions, or a fault."""

import contextlib
import logging

from agent.clock import Clock
from agent.controls.light import LightState
from agent.errors import StoreError
from agent.records import Store

log = logging.getLogger(__name__)

LOOK_S = 5.0  # how often to check the store: a card can become read-only at any time
UNSENT_S = 60.0  # longer than delivery takes if the server is reachable
REFUSED_S = 10.0  # how long to show a fault after a session could not start


class Idle:
    """Checks `store` every few seconds, and writes to it only if something changed.

    `watch` never touches the network; whether sessions are unsent is read from the store.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._look_s = self._fault_until_s = clock.monotonic_s()
        self._problem: str | None = None
        self._oldest: int | None = None
        self._oldest_s = 0.0
        self._state: LightState = "ready"

    def refused(self) -> None:
        """Show for a while that a session could not start."""
        self._fault_until_s = self._clock.monotonic_s() + REFUSED_S

    def light(self) -> LightState:
        """Return `ready`, `unsent` or `fault`. Raises StoreError if the store can't be read."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            self._report(self._store.problem())
            self._state = "unsent" if self._has_unsent(now_s) else "ready"
        faulty = self._problem is not None or now_s < self._fault_until_s
        return "fault" if faulty else self._state

    def _report(self, problem: str | None) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        log.log(
            logging.ERROR if problem else logging.INFO,
            "no session can start: %s" if problem else "sessions can start again%s",
            problem or "",
        )
        note = {"state": "ready"} if problem is None else {"state": "fault", "problem": problem}
        with contextlib.suppress(StoreError):  # the reported problem may prevent this write
            self._store.note("watch", note)

    def _has_unsent(self, now_s: float) -> bool:
        if (self._store.noted("delivery") or {}).get("enrolled") is False:
            return True
        oldest = self._store.oldest_pending()
        if oldest != self._oldest:
            self._oldest, self._oldest_s = oldest, now_s
        return oldest is not None and now_s - self._oldest_s >= UNSENT_S
