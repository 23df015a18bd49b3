"""One SQLite file that several processes share and that no damage can keep from working.

- Durable: WAL with synchronous=FULL; a commit survives a power cut.
- Damage, met on opening or by any later statement, sets the file aside, with its date in the name;
  a new one takes its place in one rename, holding what could be read.
- Whoever else has the file open notices at the next transaction and goes on in the new one.

- Full: a reserve file beside it is let go when the disk is, so that what has begun can be finished.

The lock file beside it is held shared by every transaction and exclusively while files change
places, so nobody writes into a file that is being set aside.
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

from sqlite_utils import Database

from agent.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")

WAIT_S = 10.0  # a transaction takes milliseconds, on a tired SD card a second or two
LOCK_POLL_S = 0.005
WAL_KEPT_BYTES = 4 << 20  # a burst's WAL shrinks to what SQLite's own checkpoints allow it
SET_ASIDE_KEPT = 5  # damaged files kept for a person to look at; a dying card makes many
ATTEMPTS = 6  # opening and running, before and after as many as two replacements
PAGE_BYTES = 4096
LENGTH_CAP = 1 << 30  # a header that speaks of more is not to be believed
RESERVE_BYTES = 1 << 20  # SQLite's -shm, and a two-hour session (150 kB) in WAL and file, with room

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
    """The file is open, and not whole."""


@dataclass(frozen=True, slots=True)
class Rescue:
    """What became of a damaged file. `why` is SQLite's word for it."""

    at: datetime
    aside: Path
    why: str


class StoreFile:
    """The database at `path`, created where there is none. For one thread.

    `migrations` are SQL scripts; the file's user_version counts those it has had. `application_id`
    marks the file as ours: another program's database is refused, never set aside. `rescue` copies
    what is readable from a damaged database to a new one. Raises StoreError.
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
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(_beside(path, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self.run(_quick_check)
        except BaseException:
            self.close()
            raise
        self.has_reserve()

    def close(self) -> None:
        """Ends the use of the file. Twice is once."""
        self._disconnect()
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1

    def problem(self) -> str | None:
        """Why nothing new could be kept, or None."""
        if self.path.exists() and not os.access(self.path, os.W_OK):
            return _EXPLANATIONS[sqlite3.SQLITE_READONLY]
        return None if self.has_reserve() else _EXPLANATIONS[sqlite3.SQLITE_FULL]

    def has_reserve(self) -> bool:
        """Whether there is room set aside for a full disk; sets it aside if there was none."""
        reserve = _beside(self.path, ".reserve")
        if reserve.exists():
            return True
        room = os.statvfs(self.path.parent)
        if room.f_bavail * room.f_frsize < RESERVE_BYTES:  # not even tried: a try wears the card
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
        """Runs `work` in one transaction; once more on a new file if this one shows damage, or
        with the reserve if the disk is full."""
        with _explained(self.path):
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
        raise StoreError(f"{self.path}: damaged again as soon as it was made anew")

    def _connect(self) -> None:
        self._disconnect()
        with self._locked(fcntl.LOCK_EX):
            if not self.path.exists():
                self._build(lambda _: None)
                _swap(self.path, _aside_name(self.path))
            if self.path.stat().st_size == 0:  # SQLite would delete its WAL, the better half
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
        """Lets it go; False if it was gone already."""
        try:
            _beside(self.path, ".reserve").unlink()
        except OSError:
            return False
        log.warning("%s: the disk is full: using what was reserved for that", self.path)
        return True

    def _is_current(self) -> bool:
        """Whether the file that is open still is the one at `path`."""
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
        """Whoever comes second finds the other's new file in place and has only to open it."""
        self._disconnect()
        with self._locked(fcntl.LOCK_EX):
            if not self._is_current():
                return
            rescue = Rescue(datetime.now(UTC), _aside_name(self.path), why)
            _restore_length(self.path)
            with contextlib.closing(_connected(self.path)) as damaged:
                self._build(lambda new: self._rescue(damaged, new, rescue))
            _swap(self.path, rescue.aside)
        log.error("%s is damaged (%s): set aside as %s", self.path, why, rescue.aside.name)
        _forget_oldest(self.path)

    def _build(self, fill: Callable[[Database], None]) -> None:
        """Makes a whole new database beside the old: at `path` there is never half a one."""
        new = _beside(self.path, ".new")
        for leftover in (new, _beside(new, "-journal"), _beside(new, "-wal"), _beside(new, "-shm")):
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
    """An existing database, not read yet: even a damaged one can be connected to."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=WAIT_S, isolation_level=None
    )
    # Bytes that are no UTF-8 must not hide a whole row: the checksum tells what they are worth.
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return Database(connection, recursive_triggers=False, execute_plugins=False)


def _make_durable(db: Database) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")


def _transact(db: Database, work: Callable[[Database], T], write: bool) -> T:
    """IMMEDIATE for writing: a transaction that begins as a reader may find the lock gone."""
    db.conn.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        result = work(db)
        db.conn.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
            db.rollback()
        raise
    return result


def _apply(db: Database, script: str, version: int) -> None:
    db.executescript(script)
    db.execute(f"PRAGMA user_version = {version}")


def _quick_check(db: Database) -> None:
    """Reads every page: ten thousand sessions (80 MB) take 45 ms in memory, seconds from a card."""
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
def _explained(path: Path) -> Iterator[None]:
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


# The files


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _aside_name(path: Path) -> Path:
    """A free name with the date: agent.damaged-20261122T101530Z.sqlite3"""
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for count in range(1000):
        again = f"-{count}" if count else ""
        name = path.with_name(f"{path.stem}.damaged-{date}{again}{path.suffix}")
        if not name.exists():
            return name
    raise StoreError(f"{path}: a thousand damaged stores within a second")


def _swap(path: Path, aside: Path) -> None:
    """The file goes aside with its WAL, the new one takes its place.

    Linked first, replaced after: at no moment is there no file at `path`. An old WAL must not be
    there when the new file is: SQLite would write its pages into it.
    """
    if path.exists():
        os.link(path, aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(aside, suffix))
    _beside(path, ".new").replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _restore_length(path: Path) -> None:
    """A cut-off file gets back, as nothing, the pages that its header speaks of: SQLite reads none
    of a shorter one. They take no room on the disk."""
    with path.open("rb") as file:
        header = file.read(32)
    page = int.from_bytes(header[16:18], "big")
    length = page * int.from_bytes(header[28:32], "big")
    if page == PAGE_BYTES and path.stat().st_size < length <= LENGTH_CAP:
        os.truncate(path, length)


def _forget_oldest(path: Path) -> None:
    aside = sorted(
        path.parent.glob(f"{path.stem}.damaged-*{path.suffix}"),
        key=lambda each: each.stat().st_mtime,
    )
    for old in aside[:-SET_ASIDE_KEPT]:
        for suffix in ("", "-wal", "-shm"):
            _beside(old, suffix).unlink(missing_ok=True)
