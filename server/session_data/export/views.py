"""`GET /api/session/export/`: sessions, days, minutes and blinks as files, and their codebook."""

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care import audit
from server.care.access import note_looks
from server.care.authentication import IsPerson, person_of
from server.care.models import AuditEvent
from server.common.paging import check_names, parameter, read_parameter
from server.session_data.export.asked import NAMES, Export, Form, one_of, read_export
from server.session_data.export.codebook import TABLES
from server.session_data.export.column_types import Kind, table_told
from server.session_data.export.excel import Decimal
from server.session_data.export.files import content
from server.session_data.export.lines import codebook_as_csv
from server.session_data.summary.views import DaySerializer
from server.session_data.told import SessionEntrySerializer

TYPES = {
    Form.CSV: "text/csv; charset=utf-8; header=present",
    Form.EXCEL: "text/csv; charset=utf-8; header=present",
    Form.JSON: "application/json",
    Form.PARQUET: "application/vnd.apache.parquet",
    Form.FHIR: "application/fhir+json",
}
ENDINGS = {
    Form.CSV: ".csv",
    Form.EXCEL: "-excel.csv",
    Form.JSON: ".json",
    Form.PARQUET: ".parquet",
    Form.FHIR: ".fhir.json",
}


class ExportedSessionSerializer(SessionEntrySerializer):
    """A session as in the history. `short`: less than three minutes were measured."""

    short = serializers.BooleanField()
    quality = serializers.ListField(child=serializers.CharField())
    user = serializers.CharField()


class ExportedDaySerializer(DaySerializer):
    """A day as in the summary, and whose it is."""

    user = serializers.CharField()


class ExportSerializer(serializers.Serializer[Any]):
    """An export as JSON, with the rows of one table. `user` is null unless it names one person."""

    user = serializers.CharField(allow_null=True)
    timezone = serializers.CharField()
    exported_at = serializers.DateTimeField()
    sessions = ExportedSessionSerializer(many=True, required=False)
    days = ExportedDaySerializer(many=True, required=False)
    minutes = serializers.ListField(child=serializers.DictField(), required=False)
    blinks = serializers.ListField(child=serializers.DictField(), required=False)
    checks = serializers.ListField(child=serializers.DictField(), required=False)


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
            parameter("as", "The format", {"type": "string", "enum": list(Form), "default": "csv"}),
            parameter(
                "of",
                "The table: see the codebook (FHIR has only sessions)",
                {"type": "string", "enum": list(TABLES), "default": "sessions"},
            ),
            parameter("user", "A user name; yourself by default"),
            parameter(
                "people",
                "Instead of `user`: everybody whose history you may see",
                {"type": "string", "enum": ["all"]},
            ),
            parameter(
                "device",
                "Only the sessions of this device (not with days)",
                {"type": "string", "format": "uuid"},
            ),
            parameter("from", "A local day such as 2026-11-22, or a date and time; inclusive"),
            parameter("to", "A local day, inclusive, or a date and time, exclusive"),
            parameter(
                "names",
                "Whether user names, sessions and devices are replaced by pseudonyms",
                {"type": "string", "enum": list(NAMES), "default": "user"},
            ),
            parameter(
                "decimal",
                "The decimal sign with as=excel; by default that of the language. With a comma, "
                "cells are separated by semicolons",
                {"type": "string", "enum": list(Decimal)},
            ),
        ],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/json"): ExportSerializer,
            (200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY,
            (200, "application/fhir+json"): OpenApiResponse(
                OpenApiTypes.OBJECT, "A Bundle of Observations and Devices, FHIR R4"
            ),
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Export finished sessions, or their days, minutes or blinks, or checks, as a file."""
        export = read_export(person_of(request), request.query_params)
        pieces = content(export, request.build_absolute_uri(reverse("dashboard:definitions")))
        _note(export)
        name = export.name + ENDINGS[export.form]
        disposition = content_disposition_header(as_attachment=True, filename=name)
        codebook = request.build_absolute_uri(reverse("session-codebook"))
        return StreamingHttpResponse(
            pieces,
            content_type=TYPES[export.form],
            headers={
                "Content-Disposition": disposition or "attachment",
                "Link": f'<{codebook}?of={export.part}>; rel="describedby"',
            },
        )


def _note(export: Export) -> None:
    """Record the export in the audit log and the access logs of all people it is about."""
    note_looks(export.viewer, export.people, "export")
    for person in export.people:
        audit.note(export.viewer, AuditEvent.EXPORTED, person, export.detail)


class ColumnSerializer(serializers.Serializer[Any]):
    """A column. `low` and `high` are what the server accepts; `null` is what no value means."""

    name = serializers.CharField()
    type = serializers.ChoiceField(choices=list(Kind))
    unit = serializers.CharField(allow_blank=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    null = serializers.CharField(allow_blank=True)
    meaning = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]


class TableSerializer(serializers.Serializer[Any]):
    """A table; `row` says what one of its rows stands for."""

    name = serializers.CharField()
    row = serializers.CharField()
    columns = ColumnSerializer(many=True)


class CodebookSerializer(serializers.Serializer[Any]):
    """The columns of all tables of an export."""

    tables = TableSerializer(many=True)


class CodebookView(APIView):
    """`GET /api/session/export/codebook/`."""

    permission_classes = [IsPerson]
    content_negotiation_class = AsAsked

    @extend_schema(
        operation_id="session_export_codebook",
        parameters=[
            parameter(
                "as",
                "The format",
                {"type": "string", "enum": ["json", "csv"], "default": "json"},
            ),
            parameter("of", "One table; by default all", {"type": "string", "enum": list(TABLES)}),
        ],
        responses={
            (200, "application/json"): CodebookSerializer,
            (200, "text/csv"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """Describe the columns of the exports: type, unit, range, meaning and source."""
        query = request.query_params
        check_names(query, ("as", "of"))
        form = read_parameter(query, "as", one_of(("json", "csv"))) or "json"
        name = read_parameter(query, "of", one_of(tuple(TABLES)))
        tables = [table for table in TABLES.values() if name in (None, table.name)]
        if form == "json":
            return Response({"tables": [table_told(table) for table in tables]})
        return HttpResponse(
            "".join(codebook_as_csv(tables)),
            content_type=TYPES[Form.CSV],
            headers={"Content-Disposition": 'attachment; filename="blinklog-codebook.csv"'},
        )
