"""Write many rows of sessions at once, without a model instance for each.

Django prepares each value with its field. Nearly all values of a session are numbers and texts that
were validated and that the databases take as they are, so only the others are prepared here.
PostgreSQL takes new rows by COPY, which needs no statement to be made and parsed for each row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

from server.session_data.models import SessionData, State

Row = Mapping[str, Any]  # a value for each column, by the name of the model's attribute

_PLAIN = (
    models.BooleanField,
    models.CharField,
    models.FloatField,
    models.IntegerField,
    models.TextField,
)
_TABLE = SessionData._meta.db_table
_INSERTED = [field for field in SessionData._meta.concrete_fields if not field.generated]
# No document changes these.
_OWN = ("id", "user_id", "device_id", "from_device", "received_at", "activity_chosen")
# What people said of a session stays under these conditions.
_STAYS = {"state": f"state = '{State.SOMEBODY_ELSE.value}'", "activity": "activity_chosen"}
_UPDATED = [field for field in _INSERTED if field.attname not in _OWN]


def insert_sessions(rows: Sequence[Row]) -> None:
    """Insert sessions; each row has all columns that the database doesn't compute.

    Raises `IntegrityError` if one exists.
    """
    if not rows:
        return
    columns = ", ".join(_quoted(_INSERTED))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            statement = f"COPY {_TABLE} ({columns}) FROM STDIN"
            with connection.wrap_database_errors, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row([row[field.attname] for field in _INSERTED])
        else:
            places = ", ".join(["%s"] * len(_INSERTED))
            statement = f"INSERT INTO {_TABLE} ({columns}) VALUES ({places})"
            cursor.executemany(statement, _prepared(rows, _INSERTED))


def update_sessions(rows: Sequence[Row]) -> None:
    """Update stored sessions; each row has its id and all columns that can change.

    A session that was marked as somebody else's stays marked, and a chosen activity stays.
    """
    if not rows:
        return
    changes = ", ".join(map(_assignment, _UPDATED))
    statement = f"UPDATE {_TABLE} SET {changes} WHERE id = %s"
    with connection.cursor() as cursor:
        cursor.executemany(statement, _prepared(rows, [*_UPDATED, SessionData._meta.pk]))


def _assignment(field: Any) -> str:
    (column,) = _quoted([field])
    stays = _STAYS.get(field.attname)
    return f"{column} = CASE WHEN {stays} THEN {column} ELSE %s END" if stays else f"{column} = %s"


def _quoted(fields: Sequence[Any]) -> list[str]:
    return [connection.ops.quote_name(field.column) for field in fields]


def _prepared(rows: Sequence[Row], fields: Sequence[Any]) -> list[list[Any]]:
    """Return the rows' values in the order of the fields, as the database takes them."""
    names = [field.attname for field in fields]
    special = [(place, field) for place, field in enumerate(fields) if not _is_plain(field)]
    prepared = [[row[name] for name in names] for row in rows]
    database = connections[DEFAULT_DB_ALIAS]  # itself, as each look through `connection` takes time
    for place, field in special:
        known: dict[Any, Any] = {}  # many rows have the same device and time of arrival
        for values in prepared:
            value = values[place]
            if value not in known:
                known[value] = field.get_db_prep_save(value, database)
            values[place] = known[value]
    return prepared


def _is_plain(field: Any) -> bool:
    """Return whether the databases take the field's values as they are."""
    return isinstance(getattr(field, "target_field", field), _PLAIN)
