"""Health checks: liveness (`/healthz`) and readiness (`/readyz`)."""

from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from server.common.disk import WATCH
from server.common.problems import RETRY_AFTER_S
from server.replica.lag import THE_REPLICA, is_configured


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Return 200 as long as this process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Return 200 if the database answers and has all migrations, else 503 with the details.

    The consumer is only required if the settings say so. By default, a web process that works is
    not taken out of service because the consumer has stopped, because `disk` is `low` or `full`, or
    without its replica: people can still read.
    """
    missing = missing_migrations()
    consumer = _consumer() if missing == 0 else {"consumer": "unknown"}
    live = consumer["consumer"] == "ok" or not settings.READY_WITH_CONSUMER
    ready = missing == 0 and live
    body = {
        "status": "ok" if ready else "unready",
        "database": "away" if missing is None else "ok",
        "missing_migrations": missing,
        **consumer,
        "disk": WATCH.state(),
        **(_replica() if is_configured() and missing is not None else {}),
    }
    response = JsonResponse(body, status=200 if ready else 503)
    if not ready:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _consumer() -> dict[str, Any]:
    """Return whether a consumer is connected to broker and database, from its last heartbeat."""
    from server.monitoring.signs import ALIVE, CONSUMER, age

    try:
        heard = age(CONSUMER)
    except (DatabaseError, InterfaceError):
        return {"consumer": "unknown"}
    if heard is None:
        return {"consumer": "never heard of"}
    state = "ok" if heard <= ALIVE else "away"
    return {"consumer": state, "consumer_heard_s": round(heard.total_seconds())}


def _replica() -> dict[str, Any]:
    """Return how this process sees the replica, and how far it may be behind."""
    try:
        found = THE_REPLICA.state()
    except (DatabaseError, InterfaceError):
        return {"replica": "unknown"}
    lag_s = found.lag_s
    return {"replica": found.state, "replica_lag_s": None if lag_s is None else round(lag_s, 1)}


def missing_migrations() -> int | None:
    """Return the number of missing migrations, or `None` if the database is unavailable."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return 0 if _Seen.complete else _count_missing()
    except (DatabaseError, InterfaceError):
        return None


class _Seen:
    """Caches that all migrations are applied, because checking takes a while."""

    complete = False


def _count_missing() -> int:
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    _Seen.complete = missing == 0
    return missing
