"""The REST API of people, tokens, invitations, links and logs."""

import math
from datetime import timedelta
from typing import Any

from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError as ModelError
from django.db.models import Q, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import (
    AuthenticationFailed,
    PermissionDenied,
    Throttled,
    ValidationError,
)
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care import audit, second_factor, sharing
from server.care.access import permissions_by_person
from server.care.audit import note
from server.care.authentication import person_of
from server.care.guesses import WINDOW
from server.care.login import too_many_failures
from server.care.models import (
    AccessLog,
    AuditEvent,
    CareLink,
    Invitation,
    Permission,
    Person,
    PersonToken,
)
from server.care.serializers import (
    AcceptSerializer,
    AuditLogSerializer,
    InvitationSerializer,
    InvitationsSerializer,
    LinkSerializer,
    LinksSerializer,
    LoginSerializer,
    LooksSerializer,
    NewInvitationSerializer,
    PeopleSerializer,
    PermissionsSerializer,
    TokenSerializer,
    WishSerializer,
)
from server.care.wrong_codes import NO_SUCH_CODE, note_wrong, too_many_wrong
from server.common.codes import NotACodeError
from server.common.paging import paged
from server.common.problems import ProblemSerializer
from server.devices.authentication import BearerAuthentication

NEWEST_LOOKS = 200


class TokenView(APIView):
    """`/api/auth/token/`."""

    authentication_classes = [BearerAuthentication]

    def get_permissions(self) -> Any:
        """Anybody may log in."""
        return [AllowAny()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(
        operation_id="token_create",
        auth=[],
        request=LoginSerializer,
        responses={
            201: TokenSerializer,
            429: OpenApiResponse(
                ProblemSerializer, "Too many wrong guesses: Retry-After says when"
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """A new API token, for a name and its password."""
        login = LoginSerializer(data=request.data)
        login.is_valid(raise_exception=True)
        if too_many_failures(request, login.validated_data["username"]):
            raise Throttled(wait=math.ceil(WINDOW.total_seconds()))
        asked = login.validated_data
        person = authenticate(request, username=asked["username"], password=asked["password"])
        if not isinstance(person, Person):
            raise AuthenticationFailed("this name and password do not belong together")
        if second_factor.is_on(person):
            self._check_code(request, person, asked["code"])
        token = PersonToken.issue(person)
        note(person, AuditEvent.TOKEN_ISSUED, person, token[: len("blp_") + 8])
        return Response({"token": token, "user": person.username}, status=201)

    def _check_code(self, request: Request, person: Person, code: str) -> None:
        if not code:
            raise AuthenticationFailed("expected a code of the second factor too", "code_expected")
        if second_factor.too_many(request, person):
            raise Throttled(wait=math.ceil(WINDOW.total_seconds()))
        if not second_factor.check(request, person, code):
            raise AuthenticationFailed("this code is not right now", "code_wrong")

    @extend_schema(operation_id="token_delete", responses={204: None})
    def delete(self, request: Request) -> Response:
        """Revoke the token that this request is made with."""
        token: Any = request.auth
        token.revoke()
        return Response(status=204)


class PeopleView(APIView):
    """`GET /api/people/`."""

    @extend_schema(operation_id="people", responses=PeopleSerializer)
    def get(self, request: Request) -> Response:
        """Those who let one in, with what they permit; oneself among them."""
        viewer = person_of(request)
        given = permissions_by_person(viewer)
        people = [
            {
                "username": person.username,
                "name": person.label,
                "timezone": person.timezone,
                "is_self": person.pk == viewer.pk,
                "permissions": [each for each in Permission if each in given[person.pk]],
            }
            for person in Person.objects.filter(pk__in=given).order_by("username")
        ]
        return Response({"results": people})


class AccessLogView(APIView):
    """`GET /api/access-log/`."""

    @extend_schema(
        operation_id="access_log",
        parameters=[OpenApiParameter("page", int, description="From 1, the newest")],
        responses=LooksSerializer,
    )
    def get(self, request: Request) -> Response:
        """Who looked at one's own data, and when: 200 a page."""
        looks = AccessLog.objects.filter(person=person_of(request))
        page = paged(looks, request.query_params.get("page", ""), NEWEST_LOOKS)
        told = {"has_more": page.older is not None, "results": page.rows}
        return Response(LooksSerializer(told).data)


class InvitationsView(APIView):
    """`/api/invitations/`."""

    @extend_schema(operation_id="invitations", responses=InvitationsSerializer)
    def get(self, request: Request) -> Response:
        """One's own that can still be accepted."""
        rows = sharing.open_invitations(person_of(request))
        return Response(InvitationsSerializer({"results": rows}).data)

    @extend_schema(
        operation_id="invitation_create",
        request=WishSerializer,
        responses={201: NewInvitationSerializer},
    )
    def post(self, request: Request) -> Response:
        """Invite somebody: the answer has the code, this once."""
        wished = WishSerializer(data=request.data)
        wished.is_valid(raise_exception=True)
        asked = wished.validated_data
        life = timedelta(days=asked["days"])
        made, text = sharing.invite(person_of(request), asked["permissions"], asked["name"], life)
        url = request.build_absolute_uri(f"/join/{text}/")
        told = {**InvitationSerializer(made).data, "code": text, "url": url}
        return Response(told, status=201)


class InvitationView(APIView):
    """`/api/invitations/<id>/`."""

    @extend_schema(operation_id="invitation_withdraw", responses={204: None})
    def delete(self, request: Request, invitation_id: int) -> Response:
        """Withdraw one of one's own."""
        found = sharing.open_invitations(person_of(request)).filter(pk=invitation_id).first()
        if found is None:
            raise Http404
        sharing.withdraw(found)
        return Response(status=204)


class AcceptView(APIView):
    """`POST /api/invitations/accept/`."""

    @extend_schema(
        operation_id="invitation_accept", request=AcceptSerializer, responses={201: LinkSerializer}
    )
    def post(self, request: Request) -> Response:
        """Become a caregiver of whoever made the invitation."""
        viewer = person_of(request)
        if too_many_wrong(request):
            raise Throttled(wait=math.ceil(WINDOW.total_seconds()))
        sent = AcceptSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        try:
            link = self._accept(viewer, sent.validated_data["code"])
        except NotACodeError:
            note_wrong(request)
            raise ValidationError(NO_SUCH_CODE) from None
        except sharing.OwnInvitationError:
            raise ValidationError("expected somebody else's invitation") from None
        return Response(LinkSerializer(link).data, status=201)

    def _accept(self, viewer: Person, text: str) -> CareLink:
        found = sharing.find(text)
        if not isinstance(found, Invitation):
            raise NotACodeError
        return sharing.accept(found, viewer)


class LinksView(APIView):
    """`GET /api/links/`."""

    @extend_schema(operation_id="links", responses=LinksSerializer)
    def get(self, request: Request) -> Response:
        """Who may see one, and whom one may see."""
        return Response(LinksSerializer({"results": links_of(person_of(request))}).data)


class LinkView(APIView):
    """`/api/links/<id>/`."""

    @extend_schema(
        operation_id="link_change", request=PermissionsSerializer, responses=LinkSerializer
    )
    def patch(self, request: Request, link_id: int) -> Response:
        """Permit one's caregiver this and no more. A caregiver can't change it."""
        viewer = person_of(request)
        link = self._link(viewer, link_id)
        if link.person_id != viewer.pk:
            raise PermissionDenied("this is for the person to say who is cared for")
        sent = PermissionsSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        if "permissions" not in sent.validated_data:
            raise ValidationError({"permissions": "expected it"})
        try:
            sharing.change(link, sent.validated_data["permissions"], viewer)
        except ModelError as error:
            raise ValidationError({"permissions": error.messages}) from None
        return Response(LinkSerializer(link).data)

    @extend_schema(operation_id="link_end", responses={204: None})
    def delete(self, request: Request, link_id: int) -> Response:
        """End it, from either side; it holds from the next request on."""
        viewer = person_of(request)
        sharing.end(self._link(viewer, link_id), viewer)
        return Response(status=204)

    def _link(self, viewer: Person, link_id: int) -> CareLink:
        link = links_of(viewer).filter(pk=link_id).first()
        if link is None:
            raise Http404
        return link


def links_of(viewer: Person) -> QuerySet[CareLink]:
    """The open links on either side of the viewer."""
    mine = Q(person=viewer) | Q(caregiver=viewer)
    links = CareLink.objects.filter(mine, ended_at=None)
    return links.select_related("caregiver", "person")


class AuditLogView(APIView):
    """`GET /api/audit-log/`."""

    @extend_schema(
        operation_id="audit_log",
        parameters=[OpenApiParameter("page", int, description="From 1, the newest")],
        responses=AuditLogSerializer,
    )
    def get(self, request: Request) -> Response:
        """What one did, and what was done about one: log-ins, sharing, devices, exports."""
        rows = audit.entries_of(person_of(request))
        page = paged(rows, request.query_params.get("page", ""))
        told = {"has_more": page.older is not None, "results": page.rows}
        return Response(AuditLogSerializer(told).data)
