"""Migrate the schema, and finish a restore."""

from django.core.management import call_command
from django.db import connection

from server.backup.carried import finish


def migrate(verbosity: int = 0) -> None:
    """Apply missing migrations, then what the last restore carried over.

    PostgreSQL's statement timeout is off meanwhile, because rewriting a large table takes long.
    """
    _statement_timeout("SET statement_timeout = 0")
    call_command("migrate", interactive=False, verbosity=verbosity)
    finish()
    _statement_timeout("RESET statement_timeout")


def _statement_timeout(statement: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(statement)
