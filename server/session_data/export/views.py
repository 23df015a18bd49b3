"""`GET /api/session/export/`: a person's history as CSV, JSON or FHIR."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from django.http import QueryDict, StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from server.care import audit
from server.care.access import note_look, person_for
from server.care.authentication import IsPerson, person_of
from server.care.models import AuditEvent, Permission, Person
from server.common.fields import instant_text, refuse
from server.common.paging import check_names, parameter, read_parameter
from server.session_data.export import fhir
from server.session_data.export import lines as exports
from server.session_data.filters import Asked, read_bounds
from server.session_data.history import sessions_of
from server.session_data.summary.statistics import by_day, day_summary, each_day
from server.session_data.summary.views import LONGEST, DaySerializer, briefs, day_answer
from server.session_data.told import SessionEntrySerializer

TYPES = {
    "csv": "text/csv; charset=utf-8; header=present",
    "json": "application/json",
    "fhir": "application/fhir+json",
}
ENDINGS = {"csv": "csv", "json": "json", "fhir": "fhir.json"}
PARTS = ("sessions", "days")
PARAMETERS = ("as", "of", "user", "from", "to")
USUAL_DAYS = 90


class ExportedSessionSerializer(SessionEntrySerializer):
    """A session as in the history. `short`: less than three minutes were measured."""

    short = serializers.BooleanField()


class ExportSerializer(serializers.Serializer[Any]):
    """An export as JSON, with either `sessions` or `days`."""

    user = serializers.CharField()
    timezone = serializers.CharField()
    exported_at = serializers.DateTimeField()
    sessions = ExportedSessionSerializer(many=True, required=False)
    days = DaySerializer(many=True, required=False)


class AsAsked(BaseContentNegotiation):
    """Content negotiation by the parameter `as`, so that links work. Errors are always JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:  # noqa: ARG002
        """Return the default parser: there is no body."""
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:  # noqa: ARG002
        """Return the JSON renderer, used for errors."""
        return renderers[0], renderers[0].media_type


class ExportView(APIView):
    """`GET /api/session/export/`."""

    permission_classes = [IsPerson]
    content_negotiation_class = AsAsked

    @extend_schema(
        operation_id="session_export",
        parameters=[
            parameter(
                "as", "The format", {"type": "string", "enum": list(TYPES), "default": "csv"}
            ),
            parameter(
                "of",
                "Sessions or days (days not as FHIR)",
                {"type": "string", "enum": list(PARTS), "default": "sessions"},
            ),
            parameter("user", "A user name; yourself by default"),
            parameter("from", "A local day such as 2026-11-22, or a date and time; inclusive"),
            parameter("to", "A local day, inclusive, or a date and time, exclusive"),
        ],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/json"): ExportSerializer,
            (200, "application/fhir+json"): OpenApiResponse(
                OpenApiTypes.OBJECT, "A Bundle of Observations and Devices, FHIR R4"
            ),
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Export a person's finished sessions, newest first, or their days, as a file."""
        viewer = person_of(request)
        person = person_for(viewer, request.query_params.get("user"), Permission.HISTORY)
        form, part, asked = _asked(request.query_params, person)
        pieces = (
            _sessions(person, form, asked) if part == "sessions" else _days(person, form, asked)
        )
        note_look(viewer, person, "export")
        detail = f"{part} as {form}, {asked.first or 'all'} to {asked.last or 'now'}"
        audit.note(viewer, AuditEvent.EXPORTED, person, detail)
        name = f"blinklog-{person.username}-{part}.{ENDINGS[form]}"
        disposition = content_disposition_header(as_attachment=True, filename=name)
        return StreamingHttpResponse(
            exports.in_batches(pieces),
            content_type=TYPES[form],
            headers={"Content-Disposition": disposition or "attachment"},
        )


def _asked(query: QueryDict, person: Person) -> tuple[str, str, Asked]:
    check_names(query, PARAMETERS)
    form = read_parameter(query, "as", _one_of(tuple(TYPES))) or "csv"
    part = read_parameter(query, "of", _one_of(PARTS)) or "sessions"
    if part == "days" and form == "fhir":
        raise ValidationError({"of": "expected sessions: FHIR has no days"})
    first, last = read_bounds(query, person.timezone)
    return form, part, Asked(person.username, first, last, (), None, exports.CHUNK)


def _one_of(names: tuple[str, ...]) -> Any:
    def read(text: str) -> str:
        if text not in names:
            refuse(f"one of {', '.join(names)}", text)
        return text

    return read


def _sessions(person: Person, form: str, asked: Asked) -> Iterator[str]:
    rows = exports.over(sessions_of(person).filter(asked.range()))
    if form == "csv":
        return exports.sessions_as_csv(rows)
    if form == "fhir":
        who = {"username": person.username, "name": person.label}
        return fhir.bundle(rows, who, timezone.now())
    return exports.as_json(_head(person), "sessions", map(exports.told, rows))


def _days(person: Person, form: str, asked: Asked) -> Iterator[str]:
    first, last = _span(person, asked)
    groups = by_day(briefs(person, first, last), first, last)
    days = (day_answer(day_summary(day, groups[day])) for day in each_day(first, last))
    if form == "csv":
        return exports.days_as_csv(days)
    return exports.as_json(_head(person), "days", days)


def _span(person: Person, asked: Asked) -> tuple[date, date]:
    today = timezone.now().astimezone(person.zone).date()
    last = today if asked.last is None else asked.last
    first = last - timedelta(days=USUAL_DAYS - 1) if asked.first is None else asked.first
    if type(first) is not date or type(last) is not date:
        raise ValidationError({"from": "expected local days to export days"})
    if not 0 <= (last - first).days < LONGEST:
        raise ValidationError({"to": f"expected 1 to {LONGEST} days, counted from `from`"})
    return first, last


def _head(person: Person) -> dict[str, str]:
    return {
        "user": person.username,
        "timezone": person.timezone,
        "exported_at": instant_text(timezone.now()),
    }
