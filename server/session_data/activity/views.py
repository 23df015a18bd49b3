"""`PUT` and `DELETE /api/session/<id>/activity/`."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.authentication import person_of
from server.care.models import Person
from server.common.fields import Choice
from server.common.problems import Conflict, ProblemSerializer
from server.session_data.activity.choose import IsCheckError, choose, take_back
from server.session_data.models import ACTIVITIES
from server.session_data.representation.showing import session_shown
from server.session_data.serializers import unknown_key
from server.session_data.told import SessionDetailSerializer

ANSWERS = {200: SessionDetailSerializer, 409: ProblemSerializer}


class ChosenActivitySerializer(serializers.Serializer[Any]):
    """The activity of a session; null: it has none of these."""

    activity = Choice(choices=ACTIVITIES, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check that there are no other keys."""
        for name in self.initial_data:
            if name not in self.fields:
                raise unknown_key(name, "expected only activity")
        return attrs


class ActivityView(APIView):
    """`/api/session/<id>/activity/`."""

    @extend_schema(
        operation_id="session_activity",
        request=ChosenActivitySerializer,
        responses={**ANSWERS, 400: ProblemSerializer},
    )
    def put(self, request: Request, session_id: UUID) -> Response:
        """Choose what the person did during the session. A device's document doesn't change it.

        The person may, and caregivers who see the history and may start and stop sessions.
        """
        viewer, given = person_of(request), ChosenActivitySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        chosen = given.validated_data["activity"]
        return _done(viewer, session_id, lambda: choose(viewer, session_id, chosen))

    @extend_schema(operation_id="session_activity_taken_back", request=None, responses=ANSWERS)
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Take the choice back: the activity is again the one in the session document."""
        viewer = person_of(request)
        return _done(viewer, session_id, lambda: take_back(viewer, session_id))


def _done(viewer: Person, session_id: UUID, act: Callable[[], None]) -> Response:
    try:
        act()
    except IsCheckError:
        raise Conflict("a check of the counting has no activity", "is_check") from None
    return session_shown(viewer, session_id)
