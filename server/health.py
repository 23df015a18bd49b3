"""Whether the process lives, and whether it could do its work."""

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """200 as long as this process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """200 when the database answers and has all migrations, else 503 and what is missing."""
    missing = missing_migrations()
    body = {
        "status": "ok" if missing == 0 else "unready",
        "database": "away" if missing is None else "ok",
        "missing_migrations": missing,
    }
    return JsonResponse(body, status=200 if missing == 0 else 503)


def missing_migrations() -> int | None:
    """How many; `None` while the database is away."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return 0 if _Seen.complete else _count_missing()
    except (DatabaseError, InterfaceError):
        return None


class _Seen:
    """Reading migrations takes a while, and what is applied stays so: read until all are."""

    complete = False


def _count_missing() -> int:
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    _Seen.complete = missing == 0
    return missing
