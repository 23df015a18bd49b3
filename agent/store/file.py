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
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from agent.errors import StoreError
from agent.store.aside import PAGE_BYTES, aside_name, delete_oldest, restore_length, sibling, swap
from agent.store.database import Database

log = logging.getLogger(__name__)

T = TypeVar("T")

WAIT_S = 10.0  # a transaction takes milliseconds, on a worn SD card a second or two
LOCK_POLL_S = 0.005
WAL_KEPT_BYTES = 4 << 20  # after a burst the WAL shrinks to the size of SQLite's own checkpoints
ATTEMPTS = 6  # opening and running: the file, and up to two replacements of it
# SQLite's -shm, and a two-hour session (150 kB) in both WAL and file, with margin
RESERVE_BYTES = 1 << 20

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_DAMAGE_EXTENDED = {sqlite3.SQLITE_IOERR_SHORT_READ}
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN}
_EXPLANATIONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "can't be written: read-only",
    sqlite3.SQLITE_CANTOPEN: "can't be opened",
    sqlite3.SQLITE_PERM: "no permission",
    sqlite3.SQLITE_BUSY: f"locked by another process for {WAIT_S:.0f} s",
    sqlite3.SQLITE_IOERR: "the disk gave an input/output error",
}


class _Damage(sqlite3.DatabaseError):
    """The file can be opened but its check failed."""


@dataclass(frozen=True, slots=True)
class Rescue:
    """A damaged file: when it was set aside, its new path, and SQLite's error."""

    at: datetime
    aside: Path
    why: str


class StoreFile:
    """The database at `path`, created if missing. For one thread.

    `migrations` are SQL scripts; the file's user_version counts the applied ones. `application_id`
    marks the file as ours: another program's database is refused, never set aside. `rescue` copies
    the readable rows of a damaged database to a new one. Raises StoreError.
    """

    def __init__(
        self,
        path: Path,
        *,
        application_id: int,
        migrations: Sequence[str],
        rescue: Callable[[Database, Database, Rescue], None],
    ) -> None:
        self.path = path
        self.inode = 0
        self._application_id = application_id
        self._migrations = migrations
        self._rescue = rescue
        self._db: Database | None = None
        with _errors_explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(sibling(path, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self.run(_quick_check)
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

    def problem(self) -> str | None:
        """Return why nothing can be saved now, or None."""
        if self.path.exists() and not os.access(self.path, os.W_OK):
            return _EXPLANATIONS[sqlite3.SQLITE_READONLY]
        return None if self.has_reserve() else _EXPLANATIONS[sqlite3.SQLITE_FULL]

    def has_reserve(self) -> bool:
        """Return whether the reserve file exists; create it if it is missing and there is space."""
        reserve = sibling(self.path, ".reserve")
        if reserve.exists():
            return True
        room = os.statvfs(self.path.parent)
        if room.f_bavail * room.f_frsize < RESERVE_BYTES:  # don't try: each attempt wears the card
            return False
        try:
            file = os.open(reserve, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(file, 0, RESERVE_BYTES)
            finally:
                os.close(file)
        except OSError:
            with contextlib.suppress(OSError):
                reserve.unlink(missing_ok=True)
            return False
        return True

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
                    elif not (_is_no_room(error) and self._use_reserve()):
                        raise
        raise StoreError(f"{self.path}: the new file was damaged again immediately")

    def _connect(self) -> None:
        self._disconnect()
        with self._locked(fcntl.LOCK_EX):
            if not self.path.exists():
                self._build(lambda _: None)
                swap(self.path, aside_name(self.path))
            if (
                self.path.stat().st_size == 0
            ):  # SQLite would delete its WAL, which may have the data
                os.truncate(self.path, PAGE_BYTES)
            self.inode = self.path.stat().st_ino
            self._db = _connected(self.path)
            self._check_ours(self._db)
            _make_durable(self._db)
            self._migrate(self._db)

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _use_reserve(self) -> bool:
        """Delete the reserve file; return False if there was none."""
        try:
            sibling(self.path, ".reserve").unlink()
        except OSError:
            return False
        log.warning("%s: the disk is full: using the reserved space", self.path)
        return True

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
            rescue = Rescue(datetime.now(UTC), aside_name(self.path), why)
            restore_length(self.path)
            with contextlib.closing(_connected(self.path)) as damaged:
                self._build(lambda new: self._rescue(damaged, new, rescue))
            swap(self.path, rescue.aside)
        log.error("%s is damaged (%s): set aside as %s", self.path, why, rescue.aside.name)
        delete_oldest(self.path)

    def _build(self, fill: Callable[[Database], None]) -> None:
        """Build a complete database in a temporary file and leave it for `swap` to rename."""
        new = sibling(self.path, ".new")
        for leftover in (
            new,
            sibling(new, "-journal"),
            sibling(new, "-wal"),
            sibling(new, "-shm"),
        ):
            leftover.unlink(missing_ok=True)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(_connected(new)) as db:
            db.execute(f"PRAGMA application_id = {self._application_id}")
            self._migrate(db)
            _transact(db, fill, True)
            _make_durable(db)

    @contextlib.contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(self._lock_file, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreError(f"{self.path}: {_EXPLANATIONS[sqlite3.SQLITE_BUSY]}") from None
                time.sleep(LOCK_POLL_S)
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)


# The database


def _connected(path: Path) -> Database:
    """Connect to an existing database. It is not read yet, so even a damaged one connects."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=WAIT_S, isolation_level=None
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


def _quick_check(db: Database) -> None:
    """Read every page. Ten thousand sessions (80 MB) take 45 ms in memory, seconds from a card."""
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _Damage(str(found))


def _pragma(db: Database, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, _Damage) or code & 0xFF in _DAMAGE or code in _DAMAGE_EXTENDED


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
        raise StoreError(f"{path}: {_EXPLANATIONS.get(code, 'failed')} ({error})") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
