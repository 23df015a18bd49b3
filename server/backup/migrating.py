"""Migrate the schema, and finish a restore."""

from collections.abc import Collection

from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from server.backup.archive import BackupError
from server.backup.carried import finish
from server.backup.own_tables import note_tables


def migrate(verbosity: int = 0) -> None:
    """Apply missing migrations, then what the last restore carried over.

    PostgreSQL's statement timeout is off meanwhile, because rewriting a large table takes long.
    Raises `BackupError`, with nothing changed, for the schema of a version before the first release
    that lacks some of what a squashed migration replaces.
    """
    refuse_unfinished(applied())
    _statement_timeout("SET statement_timeout = 0")
    before = set(connection.introspection.table_names())
    try:
        call_command("migrate", interactive=False, verbosity=verbosity)
    finally:
        note_tables(set(connection.introspection.table_names()) - before)
    finish()
    _statement_timeout("RESET statement_timeout")


def applied() -> list[str]:
    """Return the names of the applied migrations, such as `care.0001_initial`."""
    return sorted(_named(each) for each in MigrationRecorder(connection).applied_migrations())


def unknown_migrations(names: Collection[str]) -> list[str]:
    """Return which of these migrations this version does not have."""
    known = {_named(key) for key in MigrationLoader(None).disk_migrations}
    return sorted(set(names) - known - {each for group in _replaced() for each in group})


def refuse_unfinished(names: Collection[str]) -> None:
    """Raise `BackupError` if only some of the migrations that were squashed have been applied."""
    for group in _replaced():
        missing = [name for name in group if name not in names]
        if 0 < len(missing) < len(group):
            raise BackupError(
                "expected the schema of version 0.1.0 or newer, found that of a version before "
                f"it, without {missing[0]}: upgrade to a version that has it first"
            )


def _replaced() -> list[list[str]]:
    migrations = MigrationLoader(None).disk_migrations.values()
    return [[_named(key) for key in each.replaces] for each in migrations if each.replaces]


def _named(key: tuple[str, str]) -> str:
    return ".".join(key)


def _statement_timeout(statement: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(statement)
