"""`GET /api/sheet/`: the page for the doctor and the sessions of its days, as FHIR."""

from collections.abc import Iterator
from datetime import date, datetime

from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from server.care import audit
from server.care.access import note_look, person_for
from server.care.authentication import IsPerson, person_of
from server.care.models import AuditEvent, Permission, Person
from server.common.paging import check_names, parameter
from server.dashboard.history import DEFAULT_RANGE, MOST_DAYS, Period
from server.session_data.export import fhir
from server.session_data.export.asked import Form
from server.session_data.export.lines import in_batches
from server.session_data.export.reading import found, still_visible
from server.session_data.export.views import TYPES, AsAsked
from server.session_data.filters import Asked, Bound, read_bounds
from server.visit.document import reference
from server.visit.sheet import sheet_of


class SheetView(APIView):
    """`GET /api/sheet/`."""

    permission_classes = [IsPerson]
    content_negotiation_class = AsAsked

    @extend_schema(
        operation_id="sheet",
        parameters=[
            parameter("user", "A user name; yourself by default"),
            parameter("from", f"A local day; by default {DEFAULT_RANGE - 1} days before `to`"),
            parameter("to", "A local day; by default today"),
        ],
        responses={
            (200, "application/fhir+json"): OpenApiResponse(
                OpenApiTypes.OBJECT,
                "A Bundle of a DocumentReference, Observations and Devices, FHIR R4",
            ),
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Return the page for the doctor, with the sessions of its days, as a FHIR R4 Bundle."""
        viewer, now = person_of(request), timezone.now()
        person = person_for(viewer, request.query_params.get("user"), Permission.HISTORY)
        period = read_period(request, person, now)
        document = reference(sheet_of(person, period, now), now)
        note_look(viewer, person, "sheet")
        detail = f"sheet and sessions as fhir, {period.first} to {period.last}"
        audit.note(viewer, AuditEvent.EXPORTED, person, detail)
        name = f"blinklog-{person.username}-sheet.fhir.json"
        disposition = content_disposition_header(as_attachment=True, filename=name)
        return StreamingHttpResponse(
            in_batches(bundle(viewer, person, period, document, now)),
            content_type=TYPES[Form.FHIR],
            headers={"Content-Disposition": disposition or "attachment"},
        )


def read_period(request: Request, person: Person, now: datetime) -> Period:
    """Parse `from` and `to`. Raises `ValidationError`, which names the parameter."""
    query, today = request.query_params, now.astimezone(person.zone).date()
    check_names(query, ("user", "from", "to"))
    first, last = (_day(bound) for bound in read_bounds(query, person.timezone))
    last = last or today
    if last > today:
        raise ValidationError({"to": "expected a day that has begun"})
    days = (last - first).days + 1 if first else DEFAULT_RANGE
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError({"from": f"expected 1 to {MOST_DAYS} days, found {days}"})
    return Period(days, last, today, chosen=True)


def _day(bound: Bound | None) -> date | None:
    if isinstance(bound, datetime):
        raise ValidationError({"from": "expected local days"})
    return bound


def bundle(
    viewer: Person, person: Person, period: Period, document: fhir.Resource, now: datetime
) -> Iterator[str]:
    """Yield the Bundle: the document, and the sessions that are over, if they are still shared."""
    wanted = Asked(None, period.first, period.last, (), None, 0).range()
    sessions = (each for one in still_visible(viewer, [person]) for each in found(one, wanted))
    who = {"username": person.username, "name": person.label}
    return fhir.bundle((each.row for each in sessions), who, now, [document])
