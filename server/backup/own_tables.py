"""Which tables of the database are Blinklog's, also those of a newer version.

An upgrade that is taken back leaves a database with tables that this version does not know. So
`migrate` notes every table that it creates, in a table without a model.
"""

from collections.abc import Collection

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from server.backup.carried import TABLE

NOTED = "migrated_tables"


def our_tables() -> set[str]:
    """Return the tables of this version's schema, whether they exist or not, and noted ones."""
    names = connection.introspection.django_table_names(include_views=False)
    return {*names, MigrationRecorder.Migration._meta.db_table, TABLE, NOTED, *_noted()}


def note_tables(names: Collection[str]) -> None:
    """Note tables that `migrate` has created."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {NOTED} (name text NOT NULL)")
        new = sorted(set(names) - _noted() - {NOTED})
        cursor.executemany(f"INSERT INTO {NOTED} VALUES (%s)", [(name,) for name in new])


def _noted() -> set[str]:
    with connection.cursor() as cursor:
        if NOTED not in connection.introspection.table_names(cursor):
            return set()
        cursor.execute(f"SELECT name FROM {NOTED}")
        return {name for (name,) in cursor.fetchall()}
