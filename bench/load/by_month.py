"""Partitions PostgreSQL's table of sessions by month, to compare it with the table as it is.

The partition key is the session's id, not a time: an id is a UUIDv7, which begins with the time at
which it was made, and so the primary key stays unique over all partitions. A time can't be the key,
as a later revision may correct it: two rows of one session could then be in two partitions.
"""

from datetime import UTC, date, datetime
from itertools import pairwise
from uuid import UUID

from django.db import connection

from server.session_data.models import SessionData

TABLE = SessionData._meta.db_table


def split(first: date, last: date) -> None:
    """Make the table, which is empty, a partitioned one, with the months from `first` to `last`.

    Sessions from devices whose clock was not set have ids of other years: `others` takes them.
    """
    with connection.schema_editor() as editor:
        editor.execute(f"ALTER TABLE {TABLE} RENAME TO whole")
        editor.execute(
            f"CREATE TABLE {TABLE} (LIKE whole INCLUDING DEFAULTS INCLUDING GENERATED"
            " INCLUDING CONSTRAINTS) PARTITION BY RANGE (id)"
        )
        editor.execute("DROP TABLE whole")
        editor.execute(f"ALTER TABLE {TABLE} ADD PRIMARY KEY (id)")
        for column, other in (("user_id", "care_person"), ("device_id", "devices_device")):
            editor.execute(
                f"ALTER TABLE {TABLE} ADD FOREIGN KEY ({column}) REFERENCES {other}"
                " DEFERRABLE INITIALLY DEFERRED"
            )
        for index in SessionData._meta.indexes:
            editor.add_index(SessionData, index)
        for begin, end in pairwise(months(first, last)):
            editor.execute(
                f"CREATE TABLE sessions_{begin:%Y_%m} PARTITION OF {TABLE}"
                f" FOR VALUES FROM ('{lowest(begin)}') TO ('{lowest(end)}')"
            )
        editor.execute(f"CREATE TABLE sessions_others PARTITION OF {TABLE} DEFAULT")


def months(first: date, last: date) -> list[date]:
    """The first days of the months from that of `first` to the one after that of `last`."""
    begin, end = (day.year * 12 + day.month - 1 for day in (first, last))
    return [date(n // 12, n % 12 + 1, 1) for n in range(begin, end + 2)]


def lowest(day: date) -> UUID:
    """The lowest UUIDv7 of a day: its first 48 bits are milliseconds since 1970."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return UUID(int=int(midnight.timestamp()) * 1000 << 80)
