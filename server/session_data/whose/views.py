"""`POST` and `DELETE /api/session/<id>/somebody-else/`."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.authentication import person_of
from server.common.problems import Conflict, ProblemSerializer
from server.session_data.representation.showing import session_shown
from server.session_data.told import SessionDetailSerializer
from server.session_data.whose.mark import NotPossibleError, mark

ANSWERS = {200: SessionDetailSerializer, 409: ProblemSerializer}


class SomebodyElseView(APIView):
    """`/api/session/<id>/somebody-else/`."""

    @extend_schema(operation_id="session_somebody_else", request=None, responses=ANSWERS)
    def post(self, request: Request, session_id: UUID) -> Response:
        """Say that somebody else was measured. The session counts in no figure and no alert.

        The person may, and caregivers who see the history and may start and stop sessions.
        """
        return _marked(request, session_id, somebody_else=True)

    @extend_schema(operation_id="session_not_somebody_else", request=None, responses=ANSWERS)
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Take that back."""
        return _marked(request, session_id, somebody_else=False)


def _marked(request: Request, session_id: UUID, *, somebody_else: bool) -> Response:
    viewer = person_of(request)
    try:
        mark(viewer, session_id, somebody_else=somebody_else)
    except NotPossibleError:
        reason = "only a session that is over can be marked"
        raise Conflict(reason, "not_over") from None
    return session_shown(viewer, session_id)
