"""Write CSV and JSON in pieces, as the client reads them.

The client notices a broken export, because the last chunk of the response is missing.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from server.common.fields import instant_text
from server.session_data.export.column_types import Table, cells
from server.session_data.export.column_types import told as column_told
from server.session_data.export.reading import Found
from server.session_data.told import entry, quality_of

# Spreadsheets treat text that starts with one of these as a formula, even after white space.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 some spreadsheets accept the wide ones too


def told(each: Found) -> dict[str, Any]:
    """Return a session as in the API, for JSON; with more keys, as an export has them."""
    return {
        **entry(each.row),
        "local_day": each.row["local_day"].isoformat(),
        "short": each.short,
        "quality": quality_of(each.document),
        "user": each.user,
    }


def as_csv(table: Table, rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a header and a line for each row; an empty cell means "not measured"."""
    yield line([column.name for column in table.columns])
    for row in rows:
        yield line(cells(row, table.columns))


def codebook_as_csv(tables: Iterable[Table]) -> Iterator[str]:
    """Yield a header and a line for each column of the tables."""
    lines = [{"table": each.name, **column_told(one)} for each in tables for one in each.columns]
    yield line(list(lines[0]))
    for each in lines:
        yield line(list(each.values()))


def as_json(
    head: Mapping[str, Any], name: str, items: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    """Yield the JSON object `head` with the list `items` added under the key `name`."""
    yield json.dumps(head)[:-1] + f', "{name}": ['
    comma = ""
    for item in items:
        yield comma + json.dumps(item, default=plain)
        comma = ",\n"
    yield "]}\n"


class Echo:
    """A file for csv.writer whose `write` returns the line."""

    def write(self, text: str) -> str:
        """Return the text."""
        return text


_writer = csv.writer(Echo(), lineterminator="\r\n")


def line(cells: Sequence[Any]) -> str:
    """Return a line of CSV (RFC 4180)."""
    written: str = _writer.writerow([cell(value) for value in cells])
    return written


# Most cells are these, and csv writes them as they are.
NUMBERS = {float, int, type(None)}


def cell(value: Any) -> Any:
    """Return the value for a cell; prefix text that looks like a formula with an apostrophe."""
    if type(value) in NUMBERS:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = " ".join(value)
    if isinstance(value, (datetime, date)):
        return plain(value)
    if isinstance(value, str) and value.lstrip(" \u00a0").startswith(FORMULA):
        return f"'{value}"
    return value


def plain(value: Any) -> str:
    """Return a time, a day or an id as text."""
    if isinstance(value, datetime):
        return instant_text(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def in_batches(pieces: Iterable[str], size: int = 16 * 1024) -> Iterator[bytes]:
    """Join pieces to UTF-8 chunks of about `size` bytes: a chunk for each line would be slow."""
    buffer: list[str] = []
    length = 0
    for piece in pieces:
        buffer.append(piece)
        length += len(piece)
        if length >= size:
            yield "".join(buffer).encode()
            buffer, length = [], 0
    if buffer:
        yield "".join(buffer).encode()
