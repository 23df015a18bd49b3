"""Run queries on the replica, if it is up to date except for a short lag.

People see what they have written (read-your-writes): a query about people runs on the primary until
the replica has replayed what their last requests wrote. Writes of devices and of other people may
be missing for `REPLICA_LAG_S` seconds at most.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import timedelta
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import Max
from django.db.models.functions import Now

from server.care.models import Person
from server.replica.lag import REPLICA, THE_REPLICA, is_configured
from server.replica.models import LastWrite

T = TypeVar("T")

_on_replica: ContextVar[bool] = ContextVar("on_replica", default=False)


def is_on_replica() -> bool:
    """Return whether this thread reads from the replica now."""
    return _on_replica.get()


def from_replica(people: Iterable[Person], query: Callable[[], T]) -> T:
    """Return `query()`, read from the replica if it has what `people` wrote, else from the primary.

    `people` are the reader and the people whose data is read. `query` must evaluate its querysets,
    write nothing, and check no permissions, because the replica may not know yet that sharing has
    ended. If the replica fails, the query runs again on the primary.
    """
    if not is_configured() or not has_writes_of(people):
        return query()
    token = _on_replica.set(True)
    try:
        return query()
    except (OperationalError, InterfaceError) as error:
        THE_REPLICA.failed(f"failed: {error}")
    except DatabaseError:  # the query's fault, or of a migration that is not replayed yet
        pass
    finally:
        _on_replica.reset(token)
    return query()


def has_writes_of(people: Iterable[Person]) -> bool:
    """Return whether the replica lags only a little, and has these people's last writes."""
    if THE_REPLICA.state().state != "ok":
        return False
    # Older writes have been replayed, as the replica is not further behind than that.
    recent = Now() - timedelta(seconds=2 * settings.REPLICA_LAG_S + 1)
    last = LastWrite.objects.filter(person__in={each.pk for each in people}, at__gt=recent)
    lsn = last.aggregate(lsn=Max("lsn"))["lsn"]
    if lsn is not None and lsn > THE_REPLICA.replayed:
        THE_REPLICA.look(again=True)
    return lsn is None or lsn <= THE_REPLICA.replayed


class Router:
    """Django's database router: the replica within `from_replica`, else the primary."""

    def db_for_read(self, model: object, **hints: object) -> str:  # noqa: ARG002
        """Return the database to read from."""
        return REPLICA if is_on_replica() else "default"

    def db_for_write(self, model: object, **hints: object) -> str:  # noqa: ARG002
        """Return the primary."""
        return "default"

    def allow_relation(self, *objects: object, **hints: object) -> bool:  # noqa: ARG002
        """Allow relations: both databases have the same rows."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:  # noqa: ARG002
        """Migrate the primary only."""
        return db != REPLICA
