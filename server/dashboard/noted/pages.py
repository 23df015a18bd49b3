"""The page of what was measured before and after a note."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from server.care.access import note_look
from server.care.pages.base import read_page, viewer_of
from server.dashboard.noted.compared import days_words, rows_of
from server.notes.before_after import DAYS, DEFAULT_DAYS
from server.notes.measured import before_after as compared
from server.notes.rows import note_rows
from server.notes.seen import note_for


@read_page
def before_after(request: HttpRequest, note_id: UUID) -> HttpResponse:
    """Show each metric before and after a note."""
    viewer = viewer_of(request)
    note = note_for(viewer, note_id)
    if note is None:
        raise Http404
    asked = request.GET.get("days", "")
    days = int(asked) if asked in map(str, DAYS) else DEFAULT_DAYS
    note_look(viewer, note.person, "notes")
    found = compared(viewer, note, days, timezone.now())
    (row,) = note_rows([note], viewer)
    context = {
        "person": note.person,
        "row": row,
        "found": found,
        "choices": DAYS,
        "before": days_words(found.before),
        "after": days_words(found.after),
        "lines": rows_of(found),
    }
    return render(request, "dashboard/before_after.html", context)
