"""The pages that list, write, change and delete notes."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from server.care.access import note_look, person_for
from server.care.models import Person
from server.care.pages.base import add_errors, form_page, viewer_of
from server.common.paging import paged
from server.notes import write
from server.notes.forms import NoteForm, change_form, new_form
from server.notes.models import Note
from server.notes.rows import note_rows
from server.notes.seen import may_change, may_delete, note_for, notes_seen


@form_page
def notes(request: HttpRequest, username: str) -> HttpResponse:
    """List the notes about a person. The person can write one."""
    viewer = viewer_of(request)
    person = person_for(viewer, username)
    is_you = viewer.pk == person.pk
    if request.method == "POST" and not is_you:
        raise Http404
    form = new_form(viewer, person, data=_posted(request)) if is_you else None
    if form and _saved(form, lambda given: write.add(viewer, person, None, given)):
        messages.success(request, _("Saved."))
        return redirect("notes:notes", person.username)
    note_look(viewer, person, "notes")
    page = paged(notes_seen(viewer, person), request.GET.get("page", ""))
    context = {
        "person": person,
        "is_you": is_you,
        "page": page,
        "rows": note_rows(page.rows, viewer),
        "form": form,
    }
    return render(request, "notes/notes.html", context, status=_status(form))


@form_page
def on_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Write a note on a session."""
    viewer = viewer_of(request)
    session = write.session_to_note(viewer, session_id)
    person = session.user
    form = new_form(viewer, person, session, _posted(request))
    if _saved(form, lambda given: write.add(viewer, person, session_id, given)):
        messages.success(request, _("Saved."))
        return redirect(_session_page(session_id))
    context = _form_context(person, viewer, form) | {"session": session}
    return render(request, "notes/form.html", context, status=_status(form))


@form_page
def change(request: HttpRequest, note_id: UUID) -> HttpResponse:
    """Change a note."""
    viewer, note = _seen(request, note_id, may_change)
    form = change_form(note, _posted(request))
    if _saved(form, lambda given: write.change(viewer, note, given)):
        messages.success(request, _("Saved."))
        return redirect(_page_of(note))
    context = _form_context(note.person, viewer, form) | {"note": note}
    return render(request, "notes/form.html", context, status=_status(form))


@form_page
def delete(request: HttpRequest, note_id: UUID) -> HttpResponse:
    """Delete a note, after the page has asked."""
    viewer, note = _seen(request, note_id, may_delete)
    if request.method == "POST":
        write.delete(viewer, note)
        messages.success(request, _("Deleted."))
        return redirect(_page_of(note))
    (row,) = note_rows([note], viewer)
    context = {"person": note.person, "row": row, "back": _page_of(note)}
    return render(request, "notes/delete.html", context)


def _seen(
    request: HttpRequest, note_id: UUID, may: Callable[[Person, Note], bool]
) -> tuple[Person, Note]:
    viewer = viewer_of(request)
    note = note_for(viewer, note_id)
    if note is None or not may(viewer, note):
        raise Http404
    return viewer, note


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _saved(form: NoteForm, save: Callable[[dict[str, Any]], object]) -> bool:
    """Save a form that was sent. Errors stay in the form, with what was entered."""
    if not form.is_bound or not form.is_valid():
        return False
    try:
        save(form.cleaned_data)
    except ValidationError as error:
        add_errors(form, error)
        return False
    except write.TooManyError:
        told = _("You have written %(n)d notes about this person. Delete some first.")
        form.add_error(None, told % {"n": Note.MOST})
        return False
    return True


def _form_context(person: Person, viewer: Person, form: NoteForm) -> dict[str, Any]:
    return {"person": person, "is_you": viewer.pk == person.pk, "form": form}


def _status(form: NoteForm | None) -> int:
    return 400 if form and form.errors else 200


def _session_page(session_id: UUID) -> str:
    return reverse("dashboard:session", args=[session_id]) + "#notes"


def _page_of(note: Note) -> str:
    """Return the page that lists the note."""
    if note.session_id:
        return _session_page(note.session_id)
    return reverse("notes:notes", args=[note.person.username])
