"""`/api/notes/` and `/api/notes/<id>/`."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as ModelError
from django.http import Http404, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care import audit
from server.care.access import note_look, person_for
from server.care.authentication import person_of
from server.care.models import AuditEvent, Person
from server.common.fields import refuse
from server.common.paging import (
    PAGE_PARAMETERS,
    check_names,
    parameter,
    read_parameter,
    rows_page,
)
from server.common.problems import Conflict, ProblemSerializer, from_model
from server.notes import write
from server.notes.before_after import DAYS, DEFAULT_DAYS
from server.notes.measured import before_after
from server.notes.models import Note
from server.notes.seen import may_change, may_delete, note_for, notes_seen
from server.notes.serializers import (
    BeforeAfterSerializer,
    NewNoteSerializer,
    NoteChangesSerializer,
    NoteSerializer,
    NotesSerializer,
    NoteWholeSerializer,
    before_after_data,
    exported,
    note_data,
)
from server.session_data.export.lines import as_json, in_batches, line
from server.session_data.export.views import AsAsked

FORMS = ("csv", "json")
OF_PERSON = parameter("user", "A user name; yourself by default")
COLUMNS = (
    "id", "user", "author", "kind", "at", "day", "text", "shared", "session_id", "created_at",
    "changed_at",
)  # fmt: skip


class ExportedNotesSerializer(serializers.Serializer[Any]):
    """Notes as JSON, newest first; without `may_change` and `may_delete`."""

    user = serializers.CharField()
    timezone = serializers.CharField()
    exported_at = serializers.DateTimeField()
    notes = serializers.ListField(child=serializers.DictField())


class NotesView(APIView):
    """`/api/notes/`."""

    @extend_schema(
        operation_id="notes", parameters=[OF_PERSON, *PAGE_PARAMETERS], responses=NotesSerializer
    )
    def get(self, request: Request) -> Response:
        """List the notes about a person that you see, newest first."""
        viewer = person_of(request)
        person = person_for(viewer, request.query_params.get("user"))
        page = rows_page(request, notes_seen(viewer, person), ("-at", "-id"), ("user",))
        note_look(viewer, person, "notes")
        return Response(page.answer([note_data(each, viewer) for each in page.rows]))

    @extend_schema(
        operation_id="note_add",
        request=NewNoteSerializer,
        responses={201: NoteSerializer, 409: ProblemSerializer},
    )
    def post(self, request: Request) -> Response:
        """Write a note about yourself, or on a session that you may see.

        A note about yourself is private unless `shared` is true. A note on a session of somebody
        else is always shared: that person sees it, and everybody who may see the session.
        """
        given = NewNoteSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values, author = dict(given.validated_data), person_of(request)
        session_id = values.pop("session_id", None)
        about = write.session_to_note(author, session_id).user if session_id else author
        try:
            note = write.add(author, about, session_id, values)
        except ModelError as error:
            raise from_model(error) from None
        except write.TooManyError:
            reason = f"you have written {Note.MOST} notes about this person; delete some"
            raise Conflict(reason, "too_many_notes") from None
        where = reverse("api-note", args=[note.pk])
        return Response(note_data(note, author), status=201, headers={"Location": where})


class NoteView(APIView):
    """`/api/notes/<id>/`."""

    @extend_schema(operation_id="note", responses=NoteSerializer)
    def get(self, request: Request, note_id: UUID) -> Response:
        """Show a note."""
        viewer, note = _seen(request, note_id)
        note_look(viewer, note.person, "notes")
        return Response(note_data(note, viewer))

    @extend_schema(operation_id="note_put", request=NoteWholeSerializer, responses=NoteSerializer)
    def put(self, request: Request, note_id: UUID) -> Response:
        """Replace kind, time, text and sharing of a note that you wrote."""
        return self._changed(request, note_id, NoteWholeSerializer)

    @extend_schema(
        operation_id="note_patch", request=NoteChangesSerializer, responses=NoteSerializer
    )
    def patch(self, request: Request, note_id: UUID) -> Response:
        """Change values of a note that you wrote."""
        return self._changed(request, note_id, NoteChangesSerializer)

    @extend_schema(operation_id="note_delete", responses={204: None})
    def delete(self, request: Request, note_id: UUID) -> Response:
        """Delete a note that you wrote, or that is about you."""
        viewer, note = _seen(request, note_id)
        if not may_delete(viewer, note):
            raise PermissionDenied("only its author and its person can delete it", "not_the_author")
        write.delete(viewer, note)
        return Response(status=204)

    def _changed(
        self, request: Request, note_id: UUID, serializer: type[NoteChangesSerializer]
    ) -> Response:
        viewer, note = _seen(request, note_id)
        if not may_change(viewer, note):
            raise PermissionDenied("only its author can change it", "not_the_author")
        given = serializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            write.change(viewer, note, given.validated_data)
        except ModelError as error:
            raise from_model(error) from None
        return Response(note_data(note, viewer))


class BeforeAfterView(APIView):
    """`GET /api/notes/<id>/before-after/`."""

    @extend_schema(
        operation_id="note_before_after",
        parameters=[
            parameter(
                "days",
                "Days on either side",
                {"type": "integer", "enum": list(DAYS), "default": DEFAULT_DAYS},
            )
        ],
        responses=BeforeAfterSerializer,
    )
    def get(self, request: Request, note_id: UUID) -> Response:
        """Compare the days before and after a note, without the note's own day.

        Each side ends at the next note of the same kind. A difference is no proof of a cause.
        """
        check_names(request.query_params, ("days",))
        viewer, note = _seen(request, note_id)
        days = read_parameter(request.query_params, "days", _days) or DEFAULT_DAYS
        note_look(viewer, note.person, "notes")
        return Response(before_after_data(before_after(viewer, note, days, timezone.now())))


class NotesExportView(APIView):
    """`GET /api/notes/export/`."""

    content_negotiation_class = AsAsked

    @extend_schema(
        operation_id="notes_export",
        parameters=[
            OF_PERSON,
            parameter("as", "The format", {"type": "string", "enum": FORMS, "default": "csv"}),
        ],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/json"): ExportedNotesSerializer,
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Export the notes about a person that you see as a file, newest first."""
        query, viewer = request.query_params, person_of(request)
        check_names(query, ("user", "as"))
        form = read_parameter(query, "as", _form) or "csv"
        person = person_for(viewer, query.get("user"))
        pieces = _csv(viewer, person) if form == "csv" else _json(viewer, person)
        note_look(viewer, person, "export")
        audit.note(viewer, AuditEvent.EXPORTED, person, f"notes as {form}")
        disposition = content_disposition_header(
            as_attachment=True, filename=f"blinklog-notes-{person.username}.{form}"
        )
        return StreamingHttpResponse(
            in_batches(pieces),
            content_type="text/csv; charset=utf-8; header=present"
            if form == "csv"
            else "application/json",
            headers={"Content-Disposition": disposition or "attachment"},
        )


def _seen(request: Request, note_id: UUID) -> tuple[Person, Note]:
    viewer = person_of(request)
    note = note_for(viewer, note_id)
    if note is None:
        raise Http404
    return viewer, note


def _rows(viewer: Person, person: Person) -> Iterator[dict[str, Any]]:
    return (exported(note) for note in notes_seen(viewer, person).order_by("-at", "-pk"))


def _csv(viewer: Person, person: Person) -> Iterator[str]:
    yield line(COLUMNS)
    for row in _rows(viewer, person):
        yield line([row[name] for name in COLUMNS])


def _json(viewer: Person, person: Person) -> Iterator[str]:
    exported_at = timezone.now().isoformat()
    head = {"user": person.username, "timezone": person.timezone, "exported_at": exported_at}
    return as_json(head, "notes", _rows(viewer, person))


def _form(text: str) -> str:
    if text not in FORMS:
        refuse(f"one of {', '.join(FORMS)}", text)
    return text


def _days(text: str) -> int:
    if text not in map(str, DAYS):
        refuse(f"one of {', '.join(map(str, DAYS))}", text)
    return int(text)
