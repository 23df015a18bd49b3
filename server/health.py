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
    database, migrations = _checks()
    ready = database == migrations == "ok"
    body = {"status": "ok" if ready else "unready", "database": database, "migrations": migrations}
    return JsonResponse(body, status=200 if ready else 503)


def _checks() -> tuple[str, str]:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, InterfaceError):
        return "away", "unknown"
    return "ok", f"{len(missing)} missing" if missing else "ok"
