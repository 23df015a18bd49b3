"""What the screen shows, as files: in pieces, so that a long history needs no more memory.

A piece is made when the client takes it. A history is read page by page along its index, so that
no transaction stays open for as long as a slow client takes; a session that is added meanwhile is
in it or is not. What breaks off half-way is noticed: the last chunk of the answer never comes.
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

# Rows read at once: a few hundred kilobytes.
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

# A spreadsheet takes a text that begins so for a formula; it also skips white space before it.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 as some spreadsheets read the wide ones too


def over(sessions: QuerySet[SessionData]) -> Iterator[Row]:
    """Those of `sessions` that are over, newest first, `CHUNK` at a time."""
    cursor = None
    while True:
        page = page_of(sessions, OVER, cursor, CHUNK)
        yield from page.rows
        if page.older is None:
            return
        cursor = page.older


def told(row: Row) -> dict[str, Any]:
    """A session as JSON and CSV tell it: as the API does, and whether it is short."""
    brief = Brief(
        row["local_day"], row["state"], row["date_uncertain"], {"valid_s": row["valid_s"]}
    )
    return {**entry(row), "local_day": row["local_day"].isoformat(), "short": is_short(brief)}


def sessions_as_csv(rows: Iterable[Row]) -> Iterator[str]:
    """A line for each session; an empty cell was not measured."""
    yield line(SESSION_COLUMNS)
    for row in rows:
        flat = told(row)
        flat["device"] = flat["device"] and flat["device"]["label"]
        yield line([flat[name] for name in SESSION_COLUMNS])


def days_as_csv(days: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each of the summary's days; an empty cell was not measured."""
    yield line(DAY_COLUMNS)
    for day in days:
        metrics = [day["metrics"][key]["value"] for key in WAYS]
        yield line([day["day"], *(day[name] for name in DAY_COUNTS), day["duration_s"], *metrics])


def as_json(
    head: Mapping[str, Any], name: str, items: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    """`head`, and in it the list `name`."""
    yield json.dumps(head)[:-1] + f', "{name}": ['
    comma = ""
    for item in items:
        yield comma + json.dumps(item, default=str)
        comma = ",\n"
    yield "]}\n"


class _Echo:
    """What csv writes into: hands the line on."""

    def write(self, text: str) -> str:
        return text


_writer = csv.writer(_Echo(), lineterminator="\r\n")


def line(cells: Sequence[Any]) -> str:
    """One line of CSV (RFC 4180)."""
    written: str = _writer.writerow([cell(value) for value in cells])
    return written


def cell(value: Any) -> Any:
    """As it is written; a text that could be taken for a formula gets an apostrophe before it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.lstrip(" \u00a0").startswith(FORMULA):
        return f"'{value}"
    return value


def in_batches(pieces: Iterable[str], size: int = 16 * 1024) -> Iterator[bytes]:
    """Pieces in UTF-8, put together to about `size` bytes: a chunk for each line is slow."""
    waiting: list[str] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= size:
            yield "".join(waiting).encode()
            waiting, length = [], 0
    if waiting:
        yield "".join(waiting).encode()
