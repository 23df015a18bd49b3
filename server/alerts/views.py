"""`GET /api/alerts/`."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts.audience import alerts_of, note_reading
from server.alerts.serializers import AlertSerializer, alert_data
from server.care.authentication import person_of
from server.common.fields import refuse
from server.common.paging import PAGE_PARAMETERS, PageSerializer, read_parameter, rows_page

STATES = ("open", "resolved")


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
        return Response(page.answer(alert_data(page.rows)))


def _state(text: str) -> str:
    if text not in STATES:
        refuse(f"one of {', '.join(STATES)}", text)
    return text
