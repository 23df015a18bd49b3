"""Write CSV and JSON in pieces, so that memory doesn't grow with the length of the history.

Pieces are produced as the client reads them. The history is read page by page along its index, so
that a slow client keeps no transaction open. A session added in the meantime may or may not be
included. The client notices a broken export, because the last chunk of the response is missing.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from server.session_data.history import Row, page_of
from server.session_data.models import METRICS, OVER, SessionData
from server.session_data.summary.statistics import WAYS, is_short
from server.session_data.summary.views import Brief
from server.session_data.told import entry

# Rows per query: a few hundred kilobytes.
CHUNK = 500

SESSION_COLUMNS = (
    "id",
    "local_day",
    "started_at",
    "ended_at",
    "timezone",
    "utc_offset_minutes",
    "date_uncertain",
    "short",
    "state",
    "ended_by",
    "device",
    *METRICS,
    "fps",
    "agent_version",
    "revision",
    "received_at",
)
DAY_COUNTS = ("sessions", "short", "uncertain", "interrupted")
DAY_COLUMNS = ("day", *DAY_COUNTS, "duration_s", *WAYS)

# Spreadsheets treat text that starts with one of these as a formula, even after white space.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 some spreadsheets accept the wide ones too


def over(sessions: QuerySet[SessionData]) -> Iterator[Row]:
    """Yield the rows of `sessions` that are over, newest first, reading `CHUNK` at a time."""
    cursor = None
    while True:
        page = page_of(sessions, OVER, cursor, CHUNK)
        yield from page.rows
        if page.older is None:
            return
        cursor = page.older


def told(row: Row) -> dict[str, Any]:
    """Return a session as in the API, with `local_day` and `short`, for JSON and CSV."""
    brief = Brief(
        row["local_day"], row["state"], row["date_uncertain"], {"valid_s": row["valid_s"]}
    )
    return {**entry(row), "local_day": row["local_day"].isoformat(), "short": is_short(brief)}


def sessions_as_csv(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a line for each session; an empty cell means "not measured"."""
    yield line(SESSION_COLUMNS)
    for row in rows:
        flat = told(row)
        flat["device"] = flat["device"] and flat["device"]["label"]
        yield line([flat[name] for name in SESSION_COLUMNS])


def days_as_csv(days: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each of the summary's days; an empty cell means "not measured"."""
    yield line(DAY_COLUMNS)
    for day in days:
        metrics = [day["metrics"][key]["value"] for key in WAYS]
        yield line([day["day"], *(day[name] for name in DAY_COUNTS), day["duration_s"], *metrics])


def as_json(
    head: Mapping[str, Any], name: str, items: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    """Yield the JSON object `head` with the list `items` added under the key `name`."""
    yield json.dumps(head)[:-1] + f', "{name}": ['
    comma = ""
    for item in items:
        yield comma + json.dumps(item, default=str)
        comma = ",\n"
    yield "]}\n"


class _Echo:
    """A file for csv.writer whose `write` returns the line."""

    def write(self, text: str) -> str:
        return text


_writer = csv.writer(_Echo(), lineterminator="\r\n")


def line(cells: Sequence[Any]) -> str:
    """Return a line of CSV (RFC 4180)."""
    written: str = _writer.writerow([cell(value) for value in cells])
    return written


def cell(value: Any) -> Any:
    """Return the value for a cell; prefix text that looks like a formula with an apostrophe."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.lstrip(" \u00a0").startswith(FORMULA):
        return f"'{value}"
    return value


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
