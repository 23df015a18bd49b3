"""REST API views of people, tokens, invitations, links and logs."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError as ModelError
from django.db.models import Q, QuerySet
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import (
    AuthenticationFailed,
    PermissionDenied,
    ValidationError,
)
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care import accounts, audit, second_factor, sharing
from server.care.access import permissions_by_person
from server.care.attempts import WAIT_S, TooManyError
from server.care.authentication import person_of
from server.care.login import RateLimitedBackend
from server.care.models import (
    AccessLog,
    CareLink,
    Invitation,
    Permission,
    Person,
    PersonToken,
    TokenEnd,
)
from server.care.serializers import (
    AcceptSerializer,
    AuditLogSerializer,
    InvitationCreateSerializer,
    InvitationSerializer,
    InvitationsSerializer,
    LinkSerializer,
    LinksSerializer,
    LoginSerializer,
    LooksSerializer,
    NewInvitationSerializer,
    PeopleSerializer,
    PermissionsSerializer,
    TokenInfoSerializer,
    TokenSerializer,
)
from server.care.wrong_codes import NO_SUCH_CODE, attempt
from server.common.codes import NotACodeError
from server.common.paging import PAGE_PARAMETERS, rows_page
from server.common.problems import ProblemSerializer, TooManyAttempts, from_model
from server.devices.authentication import BearerAuthentication


class TokenView(APIView):
    """`/api/auth/token/`."""

    authentication_classes = [BearerAuthentication]
    any_scope = True  # a read-only token may revoke itself

    def get_permissions(self) -> Any:
        """Allow anyone to log in."""
        return [AllowAny()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(
        operation_id="token_create",
        auth=[],
        request=LoginSerializer,
        responses={
            201: TokenSerializer,
            429: OpenApiResponse(
                ProblemSerializer, "Too many wrong attempts; Retry-After says when to try again"
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Issue an API token for a user name and password."""
        login = LoginSerializer(data=request.data)
        login.is_valid(raise_exception=True)
        asked = login.validated_data
        try:
            person = RateLimitedBackend().check(request, asked["username"], asked["password"])
        except TooManyError:
            raise TooManyAttempts(WAIT_S) from None
        if person is None:
            raise wrong_password()
        if second_factor.is_on(person):
            self._check_code(request, person, asked["code"])
        name = asked["name"] or client_name(request)
        life = timedelta(days=asked["days"])
        try:
            issued, text = accounts.issue_token(person, name, asked["scope"], life)
        except accounts.PasswordChangedError:
            raise wrong_password() from None
        told = {**TokenInfoSerializer(issued).data, "token": text}
        return Response(told, status=201, headers={"Location": reverse("token")})

    def _check_code(self, request: Request, person: Person, code: str) -> None:
        if not code:
            raise AuthenticationFailed(
                "expected the second factor's code too", "second_factor_missing"
            )
        if second_factor.too_many(request, person):
            raise TooManyAttempts(WAIT_S)
        if not second_factor.check(request, person, code):
            raise AuthenticationFailed("wrong code", "second_factor_wrong")

    @extend_schema(operation_id="token", responses=TokenInfoSerializer)
    def get(self, request: Request) -> Response:
        """Describe the token that this request is made with: its name, scope and expiry."""
        return Response(TokenInfoSerializer(token_of(request)).data)

    @extend_schema(operation_id="token_delete", responses={204: None})
    def delete(self, request: Request) -> Response:
        """Revoke the token that this request is made with."""
        accounts.end_token(token_of(request), TokenEnd.LOGGED_OUT)
        return Response(status=204)


def token_of(request: Request) -> PersonToken:
    """Return the token of the request. Raises `PermissionDenied` for a device's."""
    if not isinstance(request.auth, PersonToken):
        raise PermissionDenied
    return request.auth


def wrong_password() -> AuthenticationFailed:
    """Return the error for a wrong name or password; it doesn't say which."""
    return AuthenticationFailed("wrong user name or password", "wrong_password")


def client_name(request: Request) -> str:
    """Return what the client calls itself, such as `curl/8.5`, or nothing."""
    return request.headers.get("User-Agent", "").partition(" ")[0]


class PeopleView(APIView):
    """`GET /api/people/`."""

    @extend_schema(operation_id="people", parameters=PAGE_PARAMETERS, responses=PeopleSerializer)
    def get(self, request: Request) -> Response:
        """List yourself and the people who share with you, with your permissions."""
        viewer = person_of(request)
        given = permissions_by_person(viewer)
        page = rows_page(request, Person.objects.filter(pk__in=given), ("username",))
        people = [
            {
                "username": person.username,
                "name": person.label,
                "timezone": person.timezone,
                "is_self": person.pk == viewer.pk,
                "permissions": [each for each in Permission if each in given[person.pk]],
            }
            for person in page.rows
        ]
        return Response(page.answer(people))


class AccessLogView(APIView):
    """`GET /api/access-log/`."""

    @extend_schema(
        operation_id="access_log",
        parameters=PAGE_PARAMETERS,
        responses=LooksSerializer,
    )
    def get(self, request: Request) -> Response:
        """List who looked at your data, and when, newest first."""
        looks = AccessLog.objects.filter(person=person_of(request))
        page = rows_page(request, looks, ("-last_at", "-id"))
        return Response(LooksSerializer(page.answer(page.rows)).data)


class InvitationsView(APIView):
    """`/api/invitations/`."""

    @extend_schema(
        operation_id="invitations", parameters=PAGE_PARAMETERS, responses=InvitationsSerializer
    )
    def get(self, request: Request) -> Response:
        """List your invitations that can still be accepted."""
        rows = sharing.open_invitations(person_of(request))
        page = rows_page(request, rows, ("-made_at", "-id"))
        return Response(InvitationsSerializer(page.answer(page.rows)).data)

    @extend_schema(
        operation_id="invitation_create",
        request=InvitationCreateSerializer,
        responses={201: NewInvitationSerializer},
    )
    def post(self, request: Request) -> Response:
        """Create an invitation. The code is only in this response."""
        sent = InvitationCreateSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        asked = sent.validated_data
        life = timedelta(days=asked["days"])
        made, text = sharing.invite(person_of(request), asked["permissions"], asked["name"], life)
        url = request.build_absolute_uri(f"/join/{text}/")
        told = {**InvitationSerializer(made).data, "code": text, "url": url}
        where = reverse("api-invitation", args=[made.pk])
        return Response(told, status=201, headers={"Location": where})


class InvitationView(APIView):
    """`/api/invitations/<id>/`."""

    @extend_schema(operation_id="invitation_withdraw", responses={204: None})
    def delete(self, request: Request, invitation_id: int) -> Response:
        """Withdraw one of your invitations."""
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
        """Accept an invitation and become a caregiver of the person who sent it."""
        viewer = person_of(request)
        sent = AcceptSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        code = sent.validated_data["code"]
        try:
            with attempt(request, code):
                link = self._accept(viewer, code)
        except TooManyError:
            raise TooManyAttempts(WAIT_S) from None
        except NotACodeError:
            raise ValidationError(NO_SUCH_CODE, "no_such_code") from None
        except sharing.OwnInvitationError:
            raise ValidationError(
                "you can't accept your own invitation", "own_invitation"
            ) from None
        where = reverse("api-link", args=[link.pk])
        return Response(LinkSerializer(link).data, status=201, headers={"Location": where})

    def _accept(self, viewer: Person, text: str) -> CareLink:
        found = sharing.find(text)
        if not isinstance(found, Invitation):
            raise NotACodeError
        return sharing.accept(found, viewer)


class LinksView(APIView):
    """`GET /api/links/`."""

    @extend_schema(operation_id="links", parameters=PAGE_PARAMETERS, responses=LinksSerializer)
    def get(self, request: Request) -> Response:
        """List the links to your caregivers, and to the people you care for."""
        page = rows_page(request, links_of(person_of(request)), ("-created_at", "-id"))
        return Response(LinksSerializer(page.answer(page.rows)).data)


class LinkView(APIView):
    """`/api/links/<id>/`."""

    @extend_schema(
        operation_id="link_change", request=PermissionsSerializer, responses=LinkSerializer
    )
    def patch(self, request: Request, link_id: int) -> Response:
        """Set the permissions of one of your caregivers. Caregivers can't change their own."""
        viewer = person_of(request)
        link = self._link(viewer, link_id)
        if link.person_id != viewer.pk:
            raise PermissionDenied(
                "only the person cared for can change permissions", "not_the_person"
            )
        sent = PermissionsSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        if "permissions" not in sent.validated_data:
            raise ValidationError({"permissions": "This field is required."}, "required")
        try:
            sharing.change(link, sent.validated_data["permissions"], viewer)
        except ModelError as error:
            raise ValidationError({"permissions": from_model(error).detail}) from None
        return Response(LinkSerializer(link).data)

    @extend_schema(operation_id="link_end", responses={204: None})
    def delete(self, request: Request, link_id: int) -> Response:
        """End a link, from either side. Takes effect with the next request."""
        viewer = person_of(request)
        sharing.end(self._link(viewer, link_id), viewer)
        return Response(status=204)

    def _link(self, viewer: Person, link_id: int) -> CareLink:
        link = links_of(viewer).filter(pk=link_id).first()
        if link is None:
            raise Http404
        return link


def links_of(viewer: Person) -> QuerySet[CareLink]:
    """Return the viewer's open links, as the person shared and as caregiver."""
    mine = Q(person=viewer) | Q(caregiver=viewer)
    links = CareLink.objects.filter(mine, ended_at=None)
    return links.select_related("caregiver", "person")


class AuditLogView(APIView):
    """`GET /api/audit-log/`."""

    @extend_schema(
        operation_id="audit_log",
        parameters=PAGE_PARAMETERS,
        responses=AuditLogSerializer,
    )
    def get(self, request: Request) -> Response:
        """List actions by you and on your account: log-ins, sharing, devices, exports."""
        rows = audit.entries_of(person_of(request))
        page = rows_page(request, rows, ("-last_at", "-id"))
        return Response(AuditLogSerializer(page.answer(page.rows)).data)
