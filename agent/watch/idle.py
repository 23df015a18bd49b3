"""What the light shows between two sessions: whether a press would work, and what waits."""

import contextlib
import logging
from typing import Any, Protocol

from agent.clock import Clock
from agent.controls.light import LightState
from agent.errors import StoreError

log = logging.getLogger(__name__)

LOOK_S = 5.0  # between two looks: a card that turned read-only says nothing by itself
WAITING_S = 60.0  # longer than delivery takes where anybody answers
REFUSED_S = 10.0  # how long it shows that a session could not begin, if only that one couldn't


class Store(Protocol):
    """What there is to look at."""

    def problem(self) -> str | None:
        """Why no session could begin now, or None."""

    def oldest_pending(self) -> int | None:
        """Which finished session has waited longest for its delivery: any number of its own."""

    def note(self, key: str, value: Any) -> None:
        """Remembers a fact for `status`."""

    def noted(self, key: str) -> Any:
        """What was noted last."""


class Idle:
    """Looks at `store` every few seconds, and writes to it only when something changed.

    `watch` never touches the network: what waits for it, it reads off the store.
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
        """A session could not begin."""
        self._fault_until_s = self._clock.monotonic_s() + REFUSED_S

    def light(self) -> LightState:
        """`ready`, `waiting` or `fault`. Raises StoreError where the store can't even be read."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            self._see(self._store.problem())
            self._state = "waiting" if self._waits(now_s) else "ready"
        faulty = self._problem is not None or now_s < self._fault_until_s
        return "fault" if faulty else self._state

    def _see(self, problem: str | None) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        log.log(
            logging.ERROR if problem else logging.INFO,
            "no session can begin: %s" if problem else "sessions can begin again%s",
            problem or "",
        )
        note = {"state": "ready"} if problem is None else {"state": "fault", "problem": problem}
        with contextlib.suppress(StoreError):  # which may be the very problem
            self._store.note("watch", note)

    def _waits(self, now_s: float) -> bool:
        if (self._store.noted("delivery") or {}).get("enrolled") is False:
            return True
        oldest = self._store.oldest_pending()
        if oldest != self._oldest:
            self._oldest, self._oldest_s = oldest, now_s
        return oldest is not None and now_s - self._oldest_s >= WAITING_S
