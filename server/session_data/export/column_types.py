"""Describe a column of an export: its type, unit, range and meaning.

The tables in codebook.py are made of these. The files and the codebook both follow from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from server.common.fields import Column as Numbers
from server.common.fields import Count, Number, StrictSerializer
from server.session_data.export.fhir import COMPONENTS

Text = str | Promise

NEVER: Text = ""
NOT_MEASURED = _("Not measured")
OLDER_DEVICE = _("Not measured, or an older device")
NOT_FOUND = _("Not found")
UNKNOWN = _("Not known")
DATE_UNCERTAIN = _("The date is uncertain")


class Kind(StrEnum):
    """The type of a column's values."""

    TEXT = "text"
    WORDS = "list of words"
    ID = "UUID"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "boolean"
    INSTANT = "timestamp"
    DAY = "date"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `null` says what a missing value means; empty if there is always a value.

    `low` and `high` bound the numbers, both inclusive. `source` is the key in the session document
    (docs/session-document.md), or who computes it.
    """

    name: str
    kind: Kind
    meaning: Text
    source: str
    null: Text = NEVER
    unit: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what one of its rows stands for, and its columns."""

    name: str
    row: Text
    columns: tuple[Column, ...]


def metric(
    name: str, meaning: Text, null: Text, source: StrictSerializer, path: str, unit: str = ""
) -> Column:
    """Return the column of a number of the document; type and range are those it is checked by."""
    field = source.fields[name]
    checked = field.child if isinstance(field, Numbers) else field
    if not isinstance(checked, (Count, Number)):
        return Column(name, Kind.FLAG, meaning, f"{path}.{name}", null)
    kind = Kind.INTEGER if isinstance(checked, Count) else Kind.NUMBER
    known = COMPONENTS.get(name)
    return Column(
        name,
        kind,
        meaning,
        f"{path}.{name}",
        null,
        known[1] if known else unit,
        checked.low,
        checked.high,
    )


def told(column: Column) -> dict[str, Any]:
    """Return the column as the codebook shows it, in the reader's language."""
    return {
        "name": column.name,
        "type": str(column.kind),
        "unit": column.unit,
        "low": column.low,
        "high": column.high,
        "null": str(column.null),
        "meaning": str(column.meaning),
        "source": column.source,
    }


def table_told(table: Table) -> dict[str, Any]:
    """Return the table as the codebook shows it, in the reader's language."""
    columns = [told(column) for column in table.columns]
    return {"name": table.name, "row": str(table.row), "columns": columns}


def cells(row: Mapping[str, Any], columns: tuple[Column, ...]) -> list[Any]:
    """Return the row's values in the order of the columns."""
    return [row[column.name] for column in columns]
