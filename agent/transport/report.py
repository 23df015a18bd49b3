"""The note and the log of `sync`: what is delivered, and what is wrong."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from agent.errors import DeliveryError
from agent.records import Store

log = logging.getLogger(__name__)

REPORT_S = 60.0  # success is noted at most once a minute: every write wears the SD card


class DeliveryReport:
    """Keeps `noted("delivery")` up to date and the log short: only changes are logged.

    Fields of the note: `ok`, whether everything could be delivered; `at`, when that was determined;
    `problem`, what is wrong with which transport, or null; `contact`, when the server last
    acknowledged anything, or null; `next_try`, when a failed transport is tried again, or null. The
    times are accurate to a minute.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._problems: dict[str, str] = {}
        self._lasts_until_s: dict[str, float] = {}  # of problems that outlive a success
        self._fresh = True  # whether the note is still that of an earlier process
        self._reported: tuple[bool, str | None, bool, bool] | None = None
        self._reported_s = clock()
        self._ok = True
        self._count = 0
        self._contact: str | None = None
        self._next_try: dict[str, str] = {}

    def problem(self, name: str, error: DeliveryError, wait_s: float) -> None:
        """Note what is wrong with a transport, which is tried again in `wait_s` seconds."""
        text = str(error)
        if self._problems.get(name) != text:
            log.warning("%s: %s", name, text)
        self._problems[name] = text
        self._lasts_until_s[name] = self._clock() + error.lasts_s
        self._next_try[name] = _moment(wait_s)
        self._note()

    def works(self, name: str) -> None:
        """Note that a transport works."""
        self._next_try.pop(name, None)
        if name in self._problems and self._clock() < self._lasts_until_s[name]:
            self._note()
        elif self._problems.pop(name, None) is not None:
            log.info("%s works again", name)
            self._note()
        elif self._fresh and not self._problems:
            # Such as "not enrolled", which would otherwise stay until there is a session to send.
            if (self._store.noted("delivery") or {}).get("problem"):
                self._note()
            self._fresh = False

    def delivered(self, count: int, left: int) -> None:
        """Note how many documents of a batch were delivered, and how many not."""
        self._ok = not left
        self._count += count
        if count:
            self._contact = _moment()
        self._note()

    def _note(self) -> None:
        problem = "; ".join(f"{name}: {text}" for name, text in self._problems.items()) or None
        now_s = self._clock()
        next_try = min(self._next_try.values(), default=None)
        news = self._ok, problem, self._contact is not None, next_try is None
        if news == self._reported and now_s - self._reported_s < REPORT_S:
            return
        self._reported, self._reported_s = news, now_s
        if self._count:
            log.info("delivered %d, %d to go", self._count, self._store.counts()["pending"])
            self._count = 0
        if self._contact is None:  # no contact yet in this process: keep the earlier time
            self._contact = (self._store.noted("delivery") or {}).get("contact")
        note = {"ok": self._ok, "at": _moment(), "problem": problem, "contact": self._contact}
        self._store.note("delivery", {**note, "next_try": next_try})


def _moment(later_s: float = 0.0) -> str:
    """Return the wall clock's time `later_s` seconds from now, as ISO 8601 in UTC."""
    return (datetime.now(UTC) + timedelta(seconds=later_s)).isoformat(timespec="seconds")
