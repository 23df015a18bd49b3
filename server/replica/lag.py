"""How far the replica is, by positions in PostgreSQL's write-ahead log (LSN).

The primary's position is compared with the one up to which the replica has replayed the log. Unlike
comparing timestamps, this works while nothing is written, while the replica is cut off from the
primary, and without synchronised clocks.
"""

import logging
import threading
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import Error, connections

PRIMARY, REPLICA = "default", "replica"
# Seconds. How often a process looks, and how long it leaves a failed replica alone.
LOOK_EVERY_S = 0.5
RETRY_S = 5.0

_WHERE = "(({}) - '0/0'::pg_lsn)::bigint, (SELECT system_identifier FROM pg_control_system())"
WRITTEN = f"SELECT {_WHERE.format('pg_current_wal_insert_lsn()')}"
# Nothing if it is no replica any more.
REPLAYED = f"SELECT {_WHERE.format('pg_last_wal_replay_lsn()')} WHERE pg_is_in_recovery()"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """`ok`, `lagging` or `away`; and for how many seconds writes may be missing, if known."""

    state: str
    lag_s: float | None


class Replica:
    """What this process knows of the replica. One thread looks at a time; the others don't wait."""

    def __init__(self) -> None:
        self.replayed = 0
        self._looking = threading.Lock()
        self._looked_s: float | None = None
        self._away_until_s = 0.0
        # What was written before this moment has been replayed.
        self._complete_s: float | None = None
        # A position of the primary that has not been replayed yet, and when it was reached.
        self._awaited: tuple[int, float] | None = None

    def state(self) -> State:
        """Return how the replica is."""
        self.look()
        now_s = time.monotonic()
        if now_s < self._away_until_s:
            return State("away", None)
        if self._complete_s is None:
            return State("lagging", None)
        lag_s = now_s - self._complete_s
        return State("ok" if lag_s <= settings.REPLICA_LAG_S else "lagging", lag_s)

    def look(self, *, again: bool = False) -> None:
        """Compare the two positions, if it is due, or in any case if `again`.

        Raises `django.db.Error` if the primary is away, not if the replica is.
        """
        now_s = time.monotonic()
        recent = self._looked_s is not None and now_s - self._looked_s < LOOK_EVERY_S
        if now_s < self._away_until_s or (recent and not again):
            return
        if not self._looking.acquire(blocking=False):
            return
        try:
            self._compare(now_s)
            self._looked_s = now_s
        finally:
            self._looking.release()

    def failed(self, why: object) -> None:
        """Leave the replica alone for a while."""
        _log.warning("reading from the primary: the replica %s", str(why).partition("\n")[0])
        self._away_until_s = time.monotonic() + RETRY_S
        self._awaited = self._complete_s = None
        connections[REPLICA].close()

    def _compare(self, now_s: float) -> None:
        written = _position(PRIMARY, WRITTEN)
        try:
            replayed = _position(REPLICA, REPLAYED)
        except Error as error:
            self.failed(f"failed: {error}")
            return
        if written is None or replayed is None or replayed[1] != written[1]:
            self.failed("is no replica of this database")
            return
        self.replayed = replayed[0]
        if self._awaited and self.replayed >= self._awaited[0]:
            self._complete_s, self._awaited = self._awaited[1], None
        if self.replayed >= written[0]:
            self._complete_s, self._awaited = now_s, None
        elif self._awaited is None:
            self._awaited = (written[0], now_s)


def _position(alias: str, query: str) -> tuple[int, int] | None:
    """Return a position and the identifier of the database system; `None` without one."""
    with connections[alias].cursor() as cursor:
        cursor.execute(query)
        row: tuple[int, int] | None = cursor.fetchone()
        return row


THE_REPLICA = Replica()


def is_configured() -> bool:
    """Return whether the settings name a replica."""
    return REPLICA in settings.DATABASES
