"""The database's schema, and databases of versions before the first release."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from server.backup import backup, migrating
from server.backup.archive import BackupError
from server.session_data.models import SessionData

ALL = sorted(
    (app, name)
    for (app, _), migration in MigrationLoader(None).disk_migrations.items()
    for _, name in migration.replaces
)
NAMES = [f"{app}.{name}" for app, name in ALL]


def test_the_document_is_the_last_column(db):
    """SQLite reads all of what stands before a column: a history would read every document."""
    with connection.cursor() as cursor:
        table = SessionData._meta.db_table
        columns = connection.introspection.get_table_description(cursor, table)
    assert columns[-1].name == "document_json"


def test_each_app_begins_with_one_migration():
    """What was squashed is gone, so a new database is made without rewriting a table."""
    first = [name for app, name in MigrationLoader(None).disk_migrations if app == "session_data"]
    assert [each for each in first if each.startswith("0001")] == ["0001_squashed_0007_quotas"]
    assert ("session_data", "0002_placed_and_summary") in ALL


def test_a_schema_with_all_of_what_was_squashed_is_known():
    assert migrating.unknown_migrations([*NAMES, "auth.0001_initial"]) == []
    migrating.refuse_unfinished(NAMES)
    migrating.refuse_unfinished([])
    assert migrating.unknown_migrations(["care.9999_later"]) == ["care.9999_later"]


def test_a_schema_with_only_some_of_it_is_refused_and_left_as_it_is(tmp_path: Path):
    with pytest.raises(BackupError, match=r"found that of a version before it, without care\.0008"):
        migrating.refuse_unfinished([name for name in NAMES if name != "care.0008_names"])
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'old.sqlite3'}",
        "BLINKLOG_DATA_DIR": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    made = subprocess.run(
        [sys.executable, "-c", AN_OLD_ONE],
        check=False,
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr
    command = [str(Path(sys.executable).with_name("blink-server")), "migrate"]
    told = subprocess.run(
        command, check=False, env=environment, capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 1
    assert told.stderr.startswith("blink-server: expected the schema of version 0.1.0 or newer")
    assert "Traceback" not in told.stderr


AN_OLD_ONE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "server.config.settings"
django.setup()
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
MigrationRecorder(connection).record_applied("care", "0001_initial")
"""


def test_a_backup_with_only_some_of_it_is_refused(db):
    class Manifest:
        engine, version, migrations = "sqlite", "0.0.1", NAMES[:1]

    with pytest.raises(BackupError, match="found that of a version before it"):
        backup._refuse_foreign(Manifest, "sqlite")  # type: ignore[arg-type]
