"""A SQLite file that several processes share and that survives power cuts and damage.

- Power cuts: WAL with synchronous=FULL, so a commit survives them.
- Damage, found when opening or in any later statement: the file is set aside, with the date in its
  name, and a new file with the readable rows replaces it in one rename.
- Other processes that have the file open notice at their next transaction and open the new one.
- Full disk: a reserve file is deleted to make room, so that running sessions can be finished.

Every transaction holds a shared lock on the lock file, and replacing the file takes an exclusive
one. No process can therefore write to a file that is being set aside.
"""

import contextlib
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from agent.errors import StoreBusyError, StoreError
from agent.store.aside import (
    PAGE_BYTES,
    SET_ASIDE_KEPT,
    aside_name,
    delete_database,
    delete_oldest,
    restore_length,
    sibling,
)
from agent.store.database import DamageError, Database
from agent.store.reserve import Reserve
from agent.store.swap import swap, undo_swap

log = logging.getLogger(__name__)

T = TypeVar("T")

WAIT_S = 10.0  # a transaction takes milliseconds, on a worn SD card a second or two
LOCK_POLL_S = 0.005
WAL_KEPT_BYTES = 4 << 20  # after a burst the WAL shrinks to the size of SQLite's own checkpoints
CHECK_STEPS = 20_000  # SQLite's own steps: some milliseconds
ATTEMPTS = 6  # opening and running take two: for the file, and for up to two replacements of it

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_DAMAGE_EXTENDED = {sqlite3.SQLITE_IOERR_SHORT_READ}
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN}
_EXPLANATIONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "can't be written: read-only",
    sqlite3.SQLITE_CANTOPEN: "can't be opened",
    sqlite3.SQLITE_PERM: "no permission",
    sqlite3.SQLITE_BUSY: "locked by another process",
    sqlite3.SQLITE_IOERR: "the disk gave an input/output error",
}


@dataclass(frozen=True, slots=True)
class Rescue:
    """What is known of a damaged file that is being replaced.

    It is moved to `aside` at the time `at`, because of SQLite's error `why`. `delivered` is whether
    to copy sessions that the server already has.
    """

    at: datetime
    aside: Path
    why: str
    delivered: bool = True


Fill = Callable[[Database], Iterator[None]]
"""Fills a new database, step by step. Each step is committed."""


_DONE = object()  # marks the end of the steps; a step itself returns None


class StoreFile:
    """The database at `path`, created if missing. For one thread.

    `migrations` are SQL scripts; the file's user_version counts the applied ones. `application_id`
    marks the file as ours: another program's database is refused, never set aside. `rescue` copies
    the readable rows of a damaged database to a new one. `alive` is called at each step of long
    work, to ping a watchdog. `wait_s` is how long to wait for other processes. Raises StoreError,
    and StoreBusyError after that time.
    """

    def __init__(
        self,
        path: Path,
        *,
        application_id: int,
        migrations: Sequence[str],
        rescue: Callable[[Database, Database, Rescue], Iterator[None]],
        alive: Callable[[], None] = lambda: None,
        wait_s: float | None = None,
    ) -> None:
        self.path = path
        self.inode = 0
        self._application_id = application_id
        self._migrations = migrations
        self._rescue = rescue
        self._alive = alive
        self._wait_s = WAIT_S if wait_s is None else wait_s
        self._reserve = Reserve(path)
        self._db: Database | None = None
        with _errors_explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(sibling(path, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self.check()
        except BaseException:
            self.close()
            raise
        self.has_reserve()

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        self._disconnect()
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1

    def check(self) -> None:
        """Read every page, and compare the indexes with the tables. Replaces a damaged file."""
        self.run(lambda db: _check(db, self._alive))

    def problem(self) -> str | None:
        """Return why nothing can be saved now, or None."""
        if self.path.exists() and not os.access(self.path, os.W_OK):
            return _EXPLANATIONS[sqlite3.SQLITE_READONLY]
        return None if self.has_reserve() else _EXPLANATIONS[sqlite3.SQLITE_FULL]

    def has_reserve(self) -> bool:
        """Return whether there is a reserve; create it if it is missing and there is space."""
        return self._reserve.held()

    def run(self, work: Callable[[Database], T], *, write: bool = False) -> T:
        """Run `work` in one transaction and return its result.

        If the file is damaged, it is replaced, and `work` runs again on the new one. If the disk is
        full, the reserve file is deleted, and `work` runs again.
        """
        with _errors_explained(self.path):
            for _ in range(ATTEMPTS):
                try:
                    with self._locked(fcntl.LOCK_SH):
                        if self._db is not None and self._is_current():
                            return _transact(self._db, work, write)
                    self._connect()
                except sqlite3.DatabaseError as error:
                    if _is_damage(error):
                        self._replace(str(error))
                    elif not (_is_no_room(error) and self._reserve.use()):
                        raise
        raise StoreError(f"{self.path}: the new file was damaged again immediately")

    def _connect(self) -> None:
        self._disconnect()
        with self._locked(fcntl.LOCK_EX):
            undo_swap(self.path)
            if not self.path.exists():
                self._build(lambda _: iter(()))
                swap(self.path, sibling(self.path, ".new"), aside_name(self.path))
            if self.path.stat().st_size == 0:
                # SQLite would delete the WAL of an empty file, but it may have the data.
                os.truncate(self.path, PAGE_BYTES)
            self.inode = self.path.stat().st_ino
            self._db = _connected(self.path, self._wait_s)
            self._check_ours(self._db)
            _make_durable(self._db)
            self._migrate(self._db)

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _is_current(self) -> bool:
        """Return whether the open file is still the one at `path`."""
        try:
            return self.path.stat().st_ino == self.inode
        except FileNotFoundError:
            return False

    def _check_ours(self, db: Database) -> None:
        found = _pragma(db, "application_id")
        if found != self._application_id:
            raise StoreError(
                f"{self.path}: expected a Blinklog store, found a database with application id"
                f" {found:#x}"
            )

    def _migrate(self, db: Database) -> None:
        version, newest = _pragma(db, "user_version"), len(self._migrations)
        if version > newest:
            raise StoreError(
                f"{self.path}: expected schema {newest} or older, found {version}: it was written"
                " by a newer blink-agent"
            )
        for number in range(version, newest):
            apply = partial(_apply, script=self._migrations[number], version=number + 1)
            _transact(db, apply, True)

    def _replace(self, why: str) -> None:
        """Replace the damaged file, unless another process has already done it."""
        self._disconnect()
        with self._locked(fcntl.LOCK_EX):
            if not self._is_current():
                return
            undo_swap(self.path)
            rescue = Rescue(datetime.now(UTC), aside_name(self.path), why)
            restore_length(self.path)
            self._rebuild(rescue)
            swap(self.path, sibling(self.path, ".new"), rescue.aside)
        log.error("%s is damaged (%s): set aside as %s", self.path, why, rescue.aside.name)
        delete_oldest(self.path, SET_ASIDE_KEPT)

    def _rebuild(self, rescue: Rescue) -> None:
        """Copy the readable rows of the damaged file to a new one.

        If that leaves no room for the reserve, delete the files that were set aside earlier, and
        leave the delivered sessions out. If there is still no room, use the reserve.
        """
        if self._fits(rescue) and self.has_reserve():
            return
        log.warning("%s: little room: delivered sessions are left out", self.path)
        delete_oldest(self.path, 0)
        rescue = replace(rescue, delivered=False)
        if not self._fits(rescue):
            self._reserve.use()
            self._copy(rescue)

    def _fits(self, rescue: Rescue) -> bool:
        """Return whether there was room for the copy."""
        try:
            self._copy(rescue)
        except sqlite3.DatabaseError as error:
            if not _is_no_room(error):
                raise
            return False
        return True

    def _copy(self, rescue: Rescue) -> None:
        with contextlib.closing(_connected(self.path, self._wait_s)) as damaged:
            self._build(lambda new: self._rescue(damaged, new, rescue))

    def _build(self, fill: Fill) -> None:
        """Build a complete database in a temporary file and leave it for `swap` to rename."""
        new = sibling(self.path, ".new")
        delete_database(new)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL, 0o600))
        try:
            with contextlib.closing(_connected(new, self._wait_s)) as db:
                db.execute(f"PRAGMA application_id = {self._application_id}")
                self._migrate(db)
                steps = fill(db)
                while _transact(db, lambda _: next(steps, _DONE), True) is not _DONE:
                    self._alive()
                _make_durable(db)
        except BaseException:
            delete_database(new)  # it may be what fills the disk
            raise

    @contextlib.contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Hold the lock file. Waits for longer only while another process builds a new store."""
        deadline, built = time.monotonic() + self._wait_s, self._built()
        while True:
            try:
                fcntl.flock(self._lock_file, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(LOCK_POLL_S)
            if time.monotonic() > deadline:
                before, built = built, self._built()
                if built in (None, before):
                    raise StoreError(f"{self.path}: {_EXPLANATIONS[sqlite3.SQLITE_BUSY]}")
                deadline = time.monotonic() + self._wait_s
                self._alive()
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    def _built(self) -> tuple[int, int] | None:
        """Return a value that changes while a new file is built, or None."""
        try:
            found = sibling(self.path, ".new").stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns


# The database


def _connected(path: Path, wait_s: float) -> Database:
    """Connect to an existing database. It is not read yet, so even a damaged one connects."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=wait_s, isolation_level=None
    )
    # Invalid UTF-8 must not make a row unreadable: the checksum detects the damage.
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return Database(connection, recursive_triggers=False, execute_plugins=False)


def _make_durable(db: Database) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")


def _transact(db: Database, work: Callable[[Database], T], write: bool) -> T:
    """Run `work` in a transaction. Writes use IMMEDIATE: upgrading a read lock may fail."""
    db.conn.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        result = work(db)
        db.conn.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # keep the first error
            db.rollback()
        raise
    return result


def _apply(db: Database, script: str, version: int) -> None:
    db.executescript(script)
    db.execute(f"PRAGMA user_version = {version}")


def _check(db: Database, alive: Callable[[], None]) -> None:
    """Raise DamageError if SQLite finds damage. Calls `alive` meanwhile.

    For ten thousand sessions (90 MB) it takes 40 ms in memory, and seconds from a card.
    `quick_check` takes 30 ms, but would miss a flipped bit in an index.
    """
    db.conn.set_progress_handler(alive, CHECK_STEPS)  # None: go on
    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    db.conn.set_progress_handler(None, 0)
    if found != "ok":
        raise DamageError(str(found))


def _pragma(db: Database, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, DamageError) or code & 0xFF in _DAMAGE or code in _DAMAGE_EXTENDED


def _is_no_room(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _NO_ROOM or code in _NO_ROOM


@contextlib.contextmanager
def _errors_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if isinstance(error, sqlite3.DatabaseError) and _is_no_room(error):
            code = sqlite3.SQLITE_FULL
        kind = StoreBusyError if code == sqlite3.SQLITE_BUSY else StoreError
        raise kind(f"{path}: {_EXPLANATIONS.get(code, 'failed')} ({error})") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
