"""`GET /api/alerts/`."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts.audience import alerts_of, note_reading
from server.alerts.delivery.webhook import as_json
from server.alerts.models import Kind, Why
from server.care.authentication import person_of

NEWEST = 200
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


class AlertsSerializer(serializers.Serializer[Any]):
    """Alerts, newest first. `has_more` means that there are older ones."""

    has_more = serializers.BooleanField()
    results = AlertSerializer(many=True)


class AlertsView(APIView):
    """`GET /api/alerts/`."""

    @extend_schema(
        operation_id="alerts",
        parameters=[OpenApiParameter("state", str, enum=STATES, description="Default: both")],
        responses=AlertsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Return the user's newest 200 alerts."""
        alerts = alerts_of(person_of(request))
        for name in request.query_params:
            if name != "state":
                raise ValidationError({name[:40]: ["expected state"]})
        state = request.query_params.get("state")
        if state not in (None, *STATES):
            raise ValidationError({"state": [f"expected one of {', '.join(STATES)}"]})
        if state is not None:
            alerts = alerts.filter(resolved_at__isnull=state == "open")
        found = list(alerts[: NEWEST + 1])
        note_reading(person_of(request), found)
        results = [as_json(alert) for alert in found[:NEWEST]]
        return Response({"has_more": len(found) > NEWEST, "results": results})
