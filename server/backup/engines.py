"""Copies of a database while it is written to, and a database out of a copy.

SQLite: its own backup interface, in one step: a snapshot, and as a destination one transaction.
PostgreSQL: pg_dump and pg_restore, which must be as new as the server; the password goes through
the environment, never over the command line.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Protocol

from django.db import connection

from server.backup.archive import BackupError

# Seconds. SQLite waits so long for whoever writes.
WAIT_S = 30.0
# PostgreSQL: so long for whoever holds a table; the whole of it may take its time.
LOCK_WAIT_S = 10
LONGEST_S = 6 * 3600.0


class Engine(Protocol):
    """One kind of database."""

    name: str

    def size(self) -> int:
        """About how many bytes a copy takes."""

    def copy(self, to: Path) -> None:
        """A consistent copy, checked. Raises `BackupError`."""

    def check(self, copy: Path) -> None:
        """Whether a copy is readable and sound. Raises `BackupError`."""

    def replace(self, copy: Path) -> None:
        """All that is there by what is in the copy, at once or not at all. Raises `BackupError`."""


class Sqlite:
    """The file that Django's settings name."""

    name = "sqlite"

    def __init__(self) -> None:
        self.file = Path(connection.settings_dict["NAME"])

    def size(self) -> int:
        files = (self.file, Path(f"{self.file}-wal"))
        return sum(each.stat().st_size for each in files if each.exists())

    def copy(self, to: Path) -> None:
        there = f"{self.file.absolute().as_uri()}?mode=rw"  # "ro" can't open a WAL that is at rest
        try:
            with closing(sqlite3.connect(to)) as target:
                with closing(sqlite3.connect(there, uri=True, timeout=WAIT_S)) as source:
                    source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")  # one file, complete in itself
        except sqlite3.Error as error:
            raise BackupError(f"the database could not be copied: {error}") from None
        self.check(to)

    def check(self, copy: Path) -> None:
        try:
            with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as looked_at:
                found = looked_at.execute("PRAGMA integrity_check(3)").fetchall()
                broken = looked_at.execute("PRAGMA foreign_key_check").fetchmany(1)
        except sqlite3.DatabaseError as error:
            raise BackupError(f"expected a sound database, found: {error}") from None
        if found != [("ok",)] or broken:
            text = "; ".join(str(row[0]) for row in found) if found != [("ok",)] else "loose ends"
            raise BackupError(f"expected a sound database, found: {text}")

    def replace(self, copy: Path) -> None:
        connection.close()
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with (
                closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(self.file, timeout=WAIT_S)) as target,
            ):
                target.execute("PRAGMA journal_mode=WAL")
                target.execute("PRAGMA synchronous=FULL")
                source.backup(target)
        except sqlite3.Error as error:
            raise BackupError(f"the database could not be replaced: {error}") from None


class Postgres:
    """The database that Django's settings name."""

    name = "postgresql"

    # Everything of ours, so that tables which the copy does not know are gone too.
    EMPTY = """DO $$ DECLARE each record; BEGIN
      FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
        EXECUTE format('DROP TABLE IF EXISTS %I CASCADE', each.tablename);
      END LOOP; END $$;\n"""

    def size(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])

    def copy(self, to: Path) -> None:
        arguments = ["--format=custom", "--compress=0", "--no-owner", "--no-privileges"]
        self._run("pg_dump", [*arguments, f"--file={to}"])
        self.check(to)

    def check(self, copy: Path) -> None:
        self._run("pg_restore", ["--list", str(copy)])

    def replace(self, copy: Path) -> None:
        connection.close()
        script = [program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
        restore = [program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(copy)]
        with (
            subprocess.Popen(
                script,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=self._environment(),
            ) as writer,
            subprocess.Popen(restore, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader,
        ):
            whole = self._pour(reader, writer)
            trouble = _text(writer.stderr)
        if writer.returncode or not whole:
            raise BackupError(f"the database could not be replaced: {trouble or 'see pg_restore'}")

    def _pour(self, reader: "subprocess.Popen[bytes]", writer: "subprocess.Popen[bytes]") -> bool:
        """All in one transaction, which commits only once the copy has been read to its end."""
        assert reader.stdout is not None
        assert writer.stdin is not None
        whole = False
        try:
            begin = f"BEGIN; SET LOCAL lock_timeout = '{LOCK_WAIT_S}s';\n"
            writer.stdin.write((begin + self.EMPTY).encode())
            shutil.copyfileobj(reader.stdout, writer.stdin)
            whole = reader.wait(LONGEST_S) == 0
            writer.stdin.write(b"COMMIT;\n" if whole else b"ROLLBACK;\n")
            writer.stdin.close()
        except BrokenPipeError:
            reader.kill()  # psql has given up, and says why
        return whole

    def _run(self, name: str, arguments: Sequence[str]) -> None:
        try:
            done = subprocess.run(
                [program(name), *arguments],
                env=self._environment(),
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BackupError(f"{name} did not end within {LONGEST_S:g} s") from None
        if done.returncode:
            raise BackupError(f"{name} failed: {_last_line(done.stderr)}")

    def _environment(self) -> dict[str, str]:
        told: dict[str, Any] = connection.settings_dict
        names = {
            "PGHOST": told["HOST"],
            "PGPORT": told["PORT"],
            "PGUSER": told["USER"],
            "PGPASSWORD": told["PASSWORD"],
            "PGDATABASE": told["NAME"],
            "PGSSLMODE": told["OPTIONS"].get("sslmode", ""),
            "PGSSLROOTCERT": told["OPTIONS"].get("sslrootcert", ""),
            "PGCONNECT_TIMEOUT": "10",
        }
        return os.environ | {name: str(value) for name, value in names.items() if value}


def engine() -> Engine:
    """Of the database in use."""
    if connection.vendor == "sqlite":
        return Sqlite()
    if connection.vendor == "postgresql":
        return Postgres()
    raise BackupError(f"expected SQLite or PostgreSQL, found {connection.vendor}")


def program(name: str) -> str:
    """Where PostgreSQL's program is. Raises `BackupError`."""
    if (found := shutil.which(name)) is None:
        raise BackupError(f"expected {name}, of the package postgresql-client, found none")
    return found


def _text(stream: IO[bytes] | None) -> str:
    return _last_line(stream.read().decode(errors="replace")) if stream else ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "ERROR" in line or "error" in line]
    return (lines or text.strip().splitlines() or ["it did not say why"])[0][:300]
