"""Migrate the schema, and finish a restore."""

from django.core.management import call_command
from django.db import connection

from server.backup.carried import finish
from server.backup.own_tables import note_tables


def migrate(verbosity: int = 0) -> None:
    """Apply missing migrations, then what the last restore carried over.

    PostgreSQL's statement timeout is off meanwhile, because rewriting a large table takes long.
    """
    _statement_timeout("SET statement_timeout = 0")
    before = set(connection.introspection.table_names())
    try:
        call_command("migrate", interactive=False, verbosity=verbosity)
    finally:
        note_tables(set(connection.introspection.table_names()) - before)
    finish()
    _statement_timeout("RESET statement_timeout")


def _statement_timeout(statement: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(statement)
