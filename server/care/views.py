"""/api/auth/token/, /api/people/ and /api/access-log/."""

import math
from typing import Any

from django.contrib.auth import authenticate
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care import second_factor
from server.care.access import permissions_by_person
from server.care.audit import note
from server.care.authentication import person_of
from server.care.login import WINDOW, too_many_failures
from server.care.models import AccessLog, AuditEvent, Permission, Person, PersonToken
from server.common.paging import paged
from server.common.problems import ProblemSerializer
from server.devices.authentication import BearerAuthentication

NEWEST_LOOKS = 200


class LoginSerializer(serializers.Serializer[Any]):
    """A name and its password; the code too, of who has a second factor."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    code = serializers.CharField(max_length=32, required=False, default="", allow_blank=True)


class TokenSerializer(serializers.Serializer[Any]):
    """A person's API token. It is shown this once."""

    token = serializers.CharField()
    user = serializers.CharField()


class PersonSerializer(serializers.Serializer[Any]):
    """Somebody with whom one may do what `permissions` says."""

    username = serializers.CharField()
    name = serializers.CharField()
    timezone = serializers.CharField()
    is_self = serializers.BooleanField()
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=Permission.choices))


class LookSerializer(serializers.Serializer[Any]):
    """Somebody looked at one's data, `views` times between the two moments."""

    viewer = serializers.CharField(source="viewer_name")
    what = serializers.CharField()
    session_id = serializers.UUIDField(allow_null=True)
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    views = serializers.IntegerField()


class PeopleSerializer(serializers.Serializer[Any]):
    """All of them, by user name."""

    results = PersonSerializer(many=True)


class LooksSerializer(serializers.Serializer[Any]):
    """The newest first; `has_more` says that there are older ones."""

    has_more = serializers.BooleanField()
    results = LookSerializer(many=True)


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
