"""Helpers for the long-running commands."""

from django.core.management.base import CommandError

MIGRATE_FIRST = "expected an up-to-date database, found {} missing: run `blink-server migrate`"


def refuse_missing_migrations() -> None:
    """Raise `CommandError` if migrations are missing.

    An unavailable database is no error here: it may come back, while missing tables won't.
    """
    from server.operations.health import missing_migrations

    if missing := missing_migrations():
        raise CommandError(MIGRATE_FIRST.format(missing))
