"""Copy a database while it is in use, and replace a database with a copy.

SQLite uses its backup API in one step: the copy is a snapshot, and a restore is one transaction.
PostgreSQL uses pg_dump and pg_restore, which must be at least as new as the server. The password is
passed in the environment, never on the command line.
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
from server.backup.carried import CREATE, TABLE
from server.backup.own_tables import our_tables

# In seconds. How long SQLite waits for another writer.
WAIT_S = 30.0
# In seconds. How long PostgreSQL waits for a table lock, and for the whole operation.
LOCK_WAIT_S = 10
LONGEST_S = 6 * 3600.0


class Engine(Protocol):
    """A database engine."""

    name: str

    def size(self) -> int:
        """Return the approximate size of a copy, in bytes."""

    def copy(self, to: Path) -> None:
        """Make a consistent copy and check it. Raises `BackupError`."""

    def check(self, copy: Path) -> None:
        """Check that a copy is readable and consistent. Raises `BackupError`."""

    def replace(self, copy: Path, carried: Sequence[str]) -> None:
        """Replace the database with the copy and add the rows `carried` to their table.

        All or nothing. The copy may be changed. Raises `BackupError`.
        """


class Sqlite:
    """SQLite: the database file of Django's settings."""

    name = "sqlite"

    def __init__(self) -> None:
        self.file = Path(connection.settings_dict["NAME"])

    def size(self) -> int:
        files = (self.file, Path(f"{self.file}-wal"))
        return sum(each.stat().st_size for each in files if each.exists())

    def copy(self, to: Path) -> None:
        there = f"{self.file.absolute().as_uri()}?mode=rw"  # "ro" can't open an idle WAL database
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
            text = (
                "; ".join(str(row[0]) for row in found)
                if found != [("ok",)]
                else "broken foreign keys"
            )
            raise BackupError(f"expected a sound database, found: {text}")

    def replace(self, copy: Path, carried: Sequence[str]) -> None:
        if others := self._tables_of_others():
            raise BackupError(
                f"expected a database of Blinklog alone, found {', '.join(others)}: restoring"
                " replaces the whole file"
            )
        connection.close()
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with closing(sqlite3.connect(copy)) as changed, changed:
                changed.execute(CREATE)
                changed.executemany(f"INSERT INTO {TABLE} VALUES (?)", zip(carried))
            with (
                closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(self.file, timeout=WAIT_S)) as target,
            ):
                target.execute("PRAGMA journal_mode=WAL")
                target.execute("PRAGMA synchronous=FULL")
                source.backup(target)
        except sqlite3.Error as error:
            raise BackupError(f"the database could not be replaced: {error}") from None

    def _tables_of_others(self) -> list[str]:
        found = set(connection.introspection.table_names()) - our_tables()
        return sorted(name for name in found if not name.startswith("sqlite_"))


class Postgres:
    """PostgreSQL: the database of Django's settings."""

    name = "postgresql"

    # Drop our tables, including those that the copy does not have, and nothing of other programs.
    EMPTY = """DO $$ DECLARE found text; BEGIN
      SELECT string_agg(format('%%I', tablename), ', ') INTO found FROM pg_tables
      WHERE schemaname = current_schema() AND tablename IN (%s);
      IF found IS NOT NULL THEN EXECUTE 'DROP TABLE ' || found; END IF; END $$;\n"""

    def size(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])

    def copy(self, to: Path) -> None:
        arguments = ["--format=custom", "--compress=0", "--no-owner", "--no-privileges"]
        tables = [f'--table="{name}"' for name in sorted(our_tables())]
        self._run("pg_dump", [*arguments, *tables, f"--file={to}"])
        self.check(to)

    def check(self, copy: Path) -> None:
        self._run("pg_restore", ["--list", str(copy)])

    def replace(self, copy: Path, carried: Sequence[str]) -> None:
        ours = our_tables()
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
            whole = self._transfer(reader, writer, ours, carried)
            trouble = _text(writer.stderr)
        if writer.returncode or not whole:
            raise BackupError(f"the database could not be replaced: {trouble or 'see pg_restore'}")

    def _transfer(
        self,
        reader: "subprocess.Popen[bytes]",
        writer: "subprocess.Popen[bytes]",
        ours: set[str],
        carried: Sequence[str],
    ) -> bool:
        """Restore in one transaction; commit only after the copy was read to its end."""
        assert reader.stdout is not None
        assert writer.stdin is not None
        whole = False
        try:
            begin = f"BEGIN; SET LOCAL lock_timeout = '{LOCK_WAIT_S}s';\n"
            writer.stdin.write((begin + self.EMPTY % _quoted(ours)).encode())
            shutil.copyfileobj(reader.stdout, writer.stdin)
            whole = reader.wait(LONGEST_S) == 0
            writer.stdin.write(_inserted(carried).encode())
            writer.stdin.write(b"COMMIT;\n" if whole else b"ROLLBACK;\n")
            writer.stdin.close()
        except BrokenPipeError:
            reader.kill()  # psql has failed and reports why
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


def _quoted(names: set[str]) -> str:
    return ", ".join("'" + name.replace("'", "''") + "'" for name in sorted(names))


def _inserted(carried: Sequence[str]) -> str:
    """Return the SQL that adds the rows. pg_restore has left an empty search path."""
    texts = (told.replace("'", "''") for told in carried)
    rows = "".join(f"INSERT INTO {TABLE} VALUES ('{text}');\n" for text in texts)
    return f"\nRESET search_path; {CREATE};\n{rows}"


def engine() -> Engine:
    """Return the engine of the database in use."""
    if connection.vendor == "sqlite":
        return Sqlite()
    if connection.vendor == "postgresql":
        return Postgres()
    raise BackupError(f"expected SQLite or PostgreSQL, found {connection.vendor}")


def program(name: str) -> str:
    """Return the path of a PostgreSQL program. Raises `BackupError`."""
    if (found := shutil.which(name)) is None:
        raise BackupError(f"expected the program {name} (package postgresql-client), found none")
    return found


def _text(stream: IO[bytes] | None) -> str:
    return _last_line(stream.read().decode(errors="replace")) if stream else ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "ERROR" in line or "error" in line]
    return (lines or text.strip().splitlines() or ["it did not say why"])[0][:300]
