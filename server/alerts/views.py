"""`GET /api/alerts/`."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts.audience import alerts_of, note_reading
from server.alerts.delivery.webhook import as_json
from server.alerts.models import Kind, Why
from server.care.authentication import person_of
from server.common.fields import refuse
from server.common.paging import PAGE_PARAMETERS, PageSerializer, read_parameter, rows_page

STATES = ("open", "resolved")


class AlertSerializer(serializers.Serializer[Any]):
    """An alert of one of the user's rules, open from `opened_at` until `resolved_at`."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    user = serializers.CharField(help_text="The person concerned")
    name = serializers.CharField()
    device = serializers.UUIDField(allow_null=True)
    session_id = serializers.UUIDField(allow_null=True)
    opened_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    why = serializers.ChoiceField(choices=Why.choices, allow_null=True)
    heading = serializers.CharField()
    text = serializers.CharField(help_text="What was measured, in the language of the request")
    measured = serializers.DictField()
    page = serializers.URLField(allow_null=True)


class AlertsSerializer(PageSerializer):
    """A page of alerts, newest first."""

    results = AlertSerializer(many=True)


class AlertsView(APIView):
    """`GET /api/alerts/`."""

    @extend_schema(
        operation_id="alerts",
        parameters=[
            OpenApiParameter("state", str, enum=STATES, description="Default: both"),
            *PAGE_PARAMETERS,
        ],
        responses=AlertsSerializer,
    )
    def get(self, request: Request) -> Response:
        """List the user's alerts, newest first."""
        reader = person_of(request)
        alerts = alerts_of(reader)
        state = read_parameter(request.query_params, "state", _state)
        if state is not None:
            alerts = alerts.filter(resolved_at__isnull=state == "open")
        page = rows_page(request, alerts, ("-opened_at", "-id"), ("state",))
        note_reading(reader, page.rows)
        return Response(page.answer([as_json(alert) for alert in page.rows]))


def _state(text: str) -> str:
    if text not in STATES:
        refuse(f"one of {', '.join(STATES)}", text)
    return text
