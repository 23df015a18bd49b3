"""Write CSV for people with Excel.

Excel reads UTF-8 only after a byte order mark, and numbers only with the decimal sign of the
computer's region. Where that is a comma, cells are separated by semicolons. Times are local, in
the session's time zone, without milliseconds: Excel takes them for times in every region.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any

from server.session_data.export.column_types import Table, cells
from server.session_data.export.lines import Echo, cell

MARK = "\ufeff"


class Decimal(StrEnum):
    """The decimal sign."""

    COMMA = "comma"
    POINT = "point"


def as_excel(
    table: Table, rows: Iterable[Mapping[str, Any]], decimal: Decimal, definitions: str
) -> Iterator[str]:
    """Yield a header and a line for each row.

    The last line, after an empty one, is `definitions`: where the columns are explained.
    """
    separator = ";" if decimal is Decimal.COMMA else ","
    write = csv.writer(Echo(), delimiter=separator, lineterminator="\r\n").writerow
    yield MARK + str(write([column.name for column in table.columns]))
    for row in rows:
        zone = row["zone"]
        yield str(write([_cell(each, zone, decimal) for each in cells(row, table.columns)]))
    yield "\r\n" + str(write([cell(definitions)]))


def _cell(value: Any, zone: tzinfo | None, decimal: Decimal) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(zone).replace(tzinfo=None).isoformat(" ", "seconds")
    if isinstance(value, float) and decimal is Decimal.COMMA:
        return repr(value).replace(".", ",")
    return cell(value)
