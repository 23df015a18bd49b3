"""REST API views of sessions: receive documents, and show sessions and history."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from server.care.access import note_look, permissions, person_for
from server.care.authentication import IsPerson, person_of
from server.care.models import Permission, Person
from server.common.paging import PAGE_PARAMETERS, header, parameter
from server.common.problems import Conflict, ProblemSerializer, problem, sentence
from server.devices.authentication import IsPersonOrDevice
from server.devices.models import CommandName, Device
from server.replica.reading import from_replica
from server.session_data.accept import NOT_YOURS, Acceptance, Writer, accept_many
from server.session_data.amend import FinalError, first_document, new_session_id
from server.session_data.changes.answer import ChangesSinceSerializer
from server.session_data.changes.answer import answer as changes_since
from server.session_data.commands.ask import device_measuring, device_to_start, session_to_stop
from server.session_data.commands.views import CommandSerializer, asked
from server.session_data.filters import ACTIVITY_PARAMETER, read_query
from server.session_data.history import Cursor, page_of, readable_by, readable_states, sessions_of
from server.session_data.models import SessionData, State
from server.session_data.own import OwnChangesSerializer
from server.session_data.quotas import DISK_FULL, DiskFull, QuotaReached
from server.session_data.receive import by_http, receive, receive_changes, refuse
from server.session_data.representation import examples
from server.session_data.representation.preconditions import (
    expect_unchanged,
    has_conditions,
    if_unchanged,
    is_known,
    tag_of,
)
from server.session_data.representation.showing import session_shown, visible_row
from server.session_data.serializers import (
    AcceptanceSerializer,
    SessionDocumentSerializer,
    StartOnDeviceSerializer,
    StartSerializer,
)
from server.session_data.told import HistorySerializer, SessionDetailSerializer, entry

TAKEN = {200: AcceptanceSerializer, 201: AcceptanceSerializer}
REFUSED = dict.fromkeys((400, 404, 409, 412), ProblemSerializer)
IF_MATCH = header("If-Match", "ETags of a session: write only if it still has one of them")
IF_NONE_MATCH = header("If-None-Match", "ETags of a session: answer 304 if it still has one")
ETAG = header("ETag", "Changes with the session's content", response=[200, 201, 304])


def writer_of(request: Request) -> Writer:
    """Return the writer; the permission class guarantees a device or a person."""
    user = request.user
    return Writer(user.person, user) if isinstance(user, Device) else Writer(person_of(request))


def object_of(request: Request) -> dict[str, Any]:
    """Return the request's JSON object. Raises `ValidationError` for other JSON."""
    if not isinstance(request.data, Mapping):
        found = type(request.data).__name__
        raise ValidationError(f"expected a JSON object, found {found}", "not_an_object")
    return request.data


def received(writer: Writer, document: Mapping[str, Any]) -> Response:
    """Receive a complete document."""
    (acceptance,) = receive([by_http(writer, document)])
    assert acceptance is not None
    return answer(acceptance)


def refused(writer: Writer, document: Mapping[str, Any], error: ValidationError) -> Response:
    """Reject a document that contradicts the request."""
    return answer(refuse(by_http(writer, document), sentence(error.detail), error.detail))


def wrong_id() -> ValidationError:
    """Return the error for a document of another session."""
    return ValidationError({"session_id": "expected the one in the URL"}, "wrong_session_id")


def expect_room(acceptance: Acceptance) -> None:
    """Raise an error after which clients try again later, if the document was deferred."""
    if acceptance.outcome != "deferred":
        return
    if acceptance.reason == DISK_FULL:
        raise DiskFull
    raise QuotaReached


def answer(acceptance: Acceptance) -> Response:
    """Return the response for a document's outcome."""
    expect_room(acceptance)
    body = acceptance.answer()
    if acceptance.outcome != "rejected":
        if not acceptance.created:
            return Response(body)
        where = reverse("session", args=[acceptance.session_id])
        return Response(body, status=201, headers={"Location": where})
    if acceptance.reason == NOT_YOURS:
        return Response(problem(NotFound(NOT_YOURS)) | body, status=404)
    invalid = problem(ValidationError(acceptance.errors or acceptance.reason))
    return Response(invalid | body, status=400)


class StartView(APIView):
    """`POST /api/session/start/`."""

    permission_classes = [IsPersonOrDevice]

    @extend_schema(
        operation_id="session_start",
        examples=examples.START,
        request=PolymorphicProxySerializer(
            component_name="SessionStart",
            serializers=[SessionDocumentSerializer, StartSerializer, StartOnDeviceSerializer],
            resource_type_field_name=None,
        ),
        responses={
            200: AcceptanceSerializer,
            201: PolymorphicProxySerializer(
                component_name="SessionStarted",
                serializers=[AcceptanceSerializer, SessionDetailSerializer],
                resource_type_field_name=None,
            ),
            202: CommandSerializer,
            **REFUSED,
        },
    )
    def post(self, request: Request) -> Response:
        """Start a session. A device sends its document; a person can start one without a device.

        If a person names a device, a command is sent to it: the response is 202 with the command.
        """
        writer = writer_of(request)
        body = object_of(request)
        if writer.device:
            return received(writer, body)
        if "device" in body:
            return start_on_device(writer.person, body)
        return start_without_device(writer, body)


class SessionView(APIView):
    """`/api/session/<id>/`."""

    permission_classes = [IsPersonOrDevice]

    @extend_schema(
        operation_id="session",
        parameters=[IF_NONE_MATCH, ETAG],
        responses={200: SessionDetailSerializer, 304: None},
    )
    def get(self, request: Request, session_id: UUID) -> Response:
        """Show a session with its minutes and blinks; 304 if you have it already."""
        viewer = person_of(request)
        if "If-None-Match" in request.headers:
            tag = tag_of(visible_row(viewer, session_id))
            if is_known(request, tag):
                return Response(status=304, headers={"ETag": tag})
        return session_shown(viewer, session_id)

    @extend_schema(
        operation_id="session_put",
        parameters=[IF_MATCH],
        request=PolymorphicProxySerializer(
            component_name="SessionPut",
            serializers=[SessionDocumentSerializer, OwnChangesSerializer],
            resource_type_field_name=None,
        ),
        responses={**TAKEN, **REFUSED},
    )
    def put(self, request: Request, session_id: UUID) -> Response:
        """Store a complete document: a higher revision replaces a lower one, else it is a no-op.

        A person can also send a part of one, or what `GET` gave with some values changed and the
        `revision` left as it was. Without `schema`, keys that are not sent keep their values.
        """
        writer = writer_of(request)
        document = object_of(request)
        if not writer.device:
            with if_unchanged(request, writer, session_id):
                return change(writer, session_id, document, whole=True)
        if document.get("session_id") != str(session_id):
            return refused(writer, document, wrong_id())
        with if_unchanged(request, writer, session_id, creates=True):
            return received(writer, document)

    @extend_schema(
        operation_id="session_patch",
        examples=examples.PATCH,
        parameters=[IF_MATCH],
        request=OwnChangesSerializer,
        responses={200: AcceptanceSerializer, **REFUSED},
    )
    def patch(self, request: Request, session_id: UUID) -> Response:
        """Change parts of the newest document. Without a `revision` it gets the next one.

        A session that is over can only be changed with a higher `revision`; without one: 409.
        """
        writer = writer_of(request)
        with if_unchanged(request, writer, session_id):
            return change(writer, session_id, object_of(request))


class EndView(APIView):
    """`POST /api/session/<id>/end/`."""

    permission_classes = [IsPersonOrDevice]

    @extend_schema(
        operation_id="session_end",
        examples=examples.END,
        parameters=[IF_MATCH],
        request=OwnChangesSerializer,
        responses={**TAKEN, 202: CommandSerializer, **REFUSED},
    )
    def post(self, request: Request, session_id: UUID) -> Response:
        """End a session, with its final document or any part of it.

        Missing values are filled in: the state `ended`, and the server's time as the end. If a
        person sends an empty object for a device's session, a command is sent to the device: the
        response is 202 with the command.
        """
        writer, changes = writer_of(request), object_of(request)
        if not writer.device and not changes and not is_own(writer.person, session_id):
            return stop_on_device(request, writer.person, session_id)
        with if_unchanged(request, writer, session_id):
            return change(writer, session_id, changes, end=True)


def start_without_device(writer: Writer, body: Mapping[str, Any]) -> Response:
    """Store the first document of a session that no device measures."""
    given = StartSerializer(data=body)
    given.is_valid(raise_exception=True)
    session_id = new_session_id()
    document = first_document(writer.person, session_id, given.validated_data)
    (accepted,) = accept_many([(writer, document)])
    expect_room(accepted)
    if accepted.outcome != "stored":
        raise ValidationError(accepted.reason)
    shown = session_shown(writer.person, session_id, status=201)
    shown.headers["Location"] = reverse("session", args=[session_id])
    return shown


def start_on_device(person: Person, body: Mapping[str, Any]) -> Response:
    """Send a start command. Raises `Http404` for a device that `person` may not start."""
    given = StartOnDeviceSerializer(data=body)
    given.is_valid(raise_exception=True)
    device = device_to_start(person, given.validated_data["device"])
    if device is None:
        raise Http404
    activity = given.validated_data.get("activity") or ""
    return asked(person, device, CommandName.START, new_session_id(), activity)


def stop_on_device(request: Request, person: Person, session_id: UUID) -> Response:
    """Send a stop command. Raises `Conflict` (409) if no device measures the session."""
    session = session_to_stop(person, session_id)
    if session is None:
        raise Http404
    if session.state != State.ACTIVE:
        raise Conflict("the session is over", "session_over")
    device = device_measuring(session)
    if device is None:
        raise Conflict("no device is measuring this session", "not_measured")
    if has_conditions(request):
        expect_unchanged(request, session_id)
    return asked(person, device, CommandName.STOP, session_id)


def change(
    writer: Writer,
    session_id: UUID,
    changes: dict[str, Any],
    *,
    end: bool = False,
    whole: bool = False,
) -> Response:
    """Merge and store `changes`; see `amend`.

    The end may be the first document that a device sends of a session; it is then stored as
    complete.
    """
    changes = {"session_id": str(session_id), **changes}
    if changes["session_id"] != str(session_id):
        return refused(writer, changes, wrong_id())
    if end and changes.get("state") == State.ACTIVE:
        error = ValidationError({"state": "expected ended or interrupted"})
        return refused(writer, changes, error)
    try:
        delivery = by_http(writer, changes)
        return answer(receive_changes(delivery, session_id, end=end, whole=whole))
    except FinalError:
        reason = "the session is over; to change it, send a revision above the stored one"
        kept = SessionData.objects.values_list("revision", flat=True).get(pk=session_id)
        told = Acceptance(str(session_id), kept, "stale", reason).answer()
        return Response(problem(Conflict(reason, "session_over")) | told, status=409)
    except SessionData.DoesNotExist:
        if end and writer.device and "started_at" in changes:
            return received(writer, changes)
        return missing(writer, session_id)


def is_own(person: Person, session_id: UUID) -> bool:
    """Return whether the person started this session without a device."""
    return SessionData.objects.filter(pk=session_id, user=person, from_device=False).exists()


def missing(writer: Writer, session_id: UUID) -> Response:
    """Return or raise a 404; a 403 for a person who may read the session but not write it."""
    if writer.device:
        return answer(Acceptance(str(session_id), None, "rejected", NOT_YOURS))
    if readable_by(writer.person).filter(pk=session_id).exists():
        raise PermissionDenied("you can't change this session", "not_the_writer")
    raise Http404


class HistoryView(APIView):
    """`GET /api/session/history/`."""

    permission_classes = [IsPerson]

    @extend_schema(
        operation_id="session_history",
        examples=examples.HISTORY,
        parameters=[
            parameter("user", "A user name; yourself by default"),
            parameter("from", "A local day such as 2026-11-22, or a date and time; inclusive"),
            parameter("to", "A local day, inclusive, or a date and time, exclusive"),
            parameter("state", f"A comma-separated list of {', '.join(State.values)}"),
            ACTIVITY_PARAMETER,
            *PAGE_PARAMETERS,
            parameter(
                "updated_since",
                "List changes, oldest first, since a date and time, or since a `cursor` of an"
                " earlier response. Only `user` and `limit` can be given with it",
            ),
        ],
        responses={
            200: PolymorphicProxySerializer(
                component_name="HistoryOrChanges",
                serializers=[HistorySerializer, ChangesSinceSerializer],
                resource_type_field_name=None,
            ),
            410: ProblemSerializer,
        },
    )
    def get(self, request: Request) -> Response:
        """List a person's sessions, newest first, page by page.

        With `updated_since`: the sessions that were stored, changed or deleted since, in that
        order. Keep `cursor` and ask with it again; after 410, read everything again.
        """
        viewer = person_of(request)
        if "updated_since" in request.query_params:
            return changes_since(request, viewer)
        only_live = request.query_params.get("state") == State.ACTIVE
        wanted = Permission.LIVE if only_live else Permission.HISTORY
        person = person_for(viewer, request.query_params.get("user"), wanted)
        asked = read_query(request.query_params, person.timezone)
        states = readable_states(permissions(viewer, person), asked.states)
        sessions = sessions_of(person).filter(asked.range())
        page = from_replica(
            (viewer, person), lambda: page_of(sessions, states, asked.cursor, asked.limit)
        )
        note_look(viewer, person, "history")
        return Response(
            {
                "user": person.username,
                "timezone": person.timezone,
                "from": asked.first and asked.first.isoformat(),
                "to": asked.last and asked.last.isoformat(),
                "state": list(asked.states) or None,
                "activity": asked.activity,
                "limit": asked.limit,
                "has_more": page.older is not None,
                "next": link(request, page.older),
                "previous": link(request, page.newer),
                "results": [entry(row) for row in page.rows],
            }
        )


def link(request: Request, cursor: Cursor | None) -> str | None:
    """Return the URL of the same query at `cursor`, or `None` without a cursor."""
    if cursor is None:
        return None
    return str(replace_query_param(request.build_absolute_uri(), "cursor", cursor.text()))
