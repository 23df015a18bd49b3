"""What the commands that run for long share."""

from django.core.management.base import CommandError

MIGRATE_FIRST = "expected an up-to-date database, found {} missing: run `blink-server migrate`"


def refuse_missing_migrations() -> None:
    """Raise `CommandError` if the database lacks migrations.

    A database that is away may come back; one that lacks tables gets none by waiting.
    """
    from server.operations.health import missing_migrations

    if missing := missing_migrations():
        raise CommandError(MIGRATE_FIRST.format(missing))
