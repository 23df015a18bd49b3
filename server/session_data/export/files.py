"""Make the file of an export, in pieces, as the client reads it."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from server.common.fields import instant_text
from server.session_data.export import fhir
from server.session_data.export.asked import Export, Form
from server.session_data.export.codebook import TABLES
from server.session_data.export.excel import as_excel
from server.session_data.export.lines import as_csv, as_json, in_batches, told
from server.session_data.export.parquet import as_parquet
from server.session_data.export.pseudonyms import Pseudonyms
from server.session_data.export.reading import Found, found, still_visible, with_documents
from server.session_data.export.rows import (
    TableRow,
    blink_rows,
    check_rows,
    day_row,
    days,
    minute_rows,
    session_rows,
)
from server.session_data.models import OVER, State
from server.session_data.summary.statistics import DaySummary
from server.session_data.summary.views import day_answer

ROWS = {
    "sessions": session_rows,
    "minutes": minute_rows,
    "blinks": blink_rows,
    "checks": check_rows,
}
# A file of days without `from` and `to` has this many.
USUAL_DAYS = 90


def content(export: Export, definitions: str) -> Iterator[bytes]:
    """Return the file in pieces. `definitions` is the address where the columns are explained.

    Everything that depends on the reader's language is done before the first piece.
    """
    table = TABLES[export.part]
    if export.form == Form.PARQUET:
        about = {"table": table.name, "exported_at": instant_text(timezone.now())}
        return as_parquet(table, _rows(export), about | {"definitions": definitions})
    if export.form == Form.EXCEL:
        words = _("Definitions of the columns: %(address)s") % {"address": definitions}
        return in_batches(as_excel(table, _rows(export), export.decimal, words))
    if export.form == Form.CSV:
        return in_batches(as_csv(table, _rows(export)))
    if export.form == Form.FHIR:
        return in_batches(_bundle(export))
    return in_batches(as_json(_head(export), export.part, _items(export)))


def _sessions(export: Export) -> Iterator[Found]:
    """Yield the sessions without their documents, person by person."""
    for person in still_visible(export.viewer, export.people):
        states = (State.CHECK,) if export.part == "checks" else OVER
        yield from found(person, export.wanted, states)


def _documents(export: Export) -> Iterator[Found]:
    """Yield the sessions with their documents, under pseudonyms if these are asked for."""
    sessions = with_documents(_sessions(export))
    return Pseudonyms(export.viewer).hide(sessions) if export.pseudonyms else sessions


def _rows(export: Export) -> Iterator[TableRow]:
    if export.part == "days":
        return (day_row(day, user) for user, day in _days(export))
    return ROWS[export.part](_documents(export))


def _items(export: Export) -> Iterable[dict[str, Any]]:
    """Yield what is in the list of the JSON."""
    if export.part == "sessions":
        return map(told, _documents(export))
    if export.part == "days":
        return ({**day_answer(day), "user": user} for user, day in _days(export))
    names = [column.name for column in TABLES[export.part].columns]
    return ({name: row[name] for name in names} for row in _rows(export))


def _days(export: Export) -> Iterator[tuple[str, DaySummary]]:
    """Yield each person's name, or pseudonym, with each day."""
    pseudonyms = Pseudonyms(export.viewer)
    for person in still_visible(export.viewer, export.people):
        today = timezone.now().astimezone(person.zone).date()
        last = export.last or today
        first = export.first or last - timedelta(days=USUAL_DAYS - 1)
        assert type(first) is type(last) is date  # checked when the parameters were parsed
        user = pseudonyms.user(person.username) if export.pseudonyms else person.username
        yield from ((user, day) for day in days(person, first, last))


def _bundle(export: Export) -> Iterator[str]:
    assert export.person is not None
    who = {"username": export.person.username, "name": export.person.label}
    return fhir.bundle((each.row for each in _sessions(export)), who, timezone.now())


def _head(export: Export) -> dict[str, str | None]:
    person = export.person
    return {
        "user": None if person is None or export.pseudonyms else person.username,
        "timezone": (person or export.viewer).timezone,
        "exported_at": instant_text(timezone.now()),
    }
