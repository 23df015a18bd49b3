"""/api/auth/token/, /api/people/ and /api/access-log/."""

import math
from typing import Any

from django.contrib.auth import authenticate
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.access import visible_people
from server.care.login import WINDOW, too_many_failures
from server.care.models import AccessLog, Person, PersonToken
from server.devices.authentication import BearerAuthentication, person_of
from server.session_data.serializers import ProblemSerializer

NEWEST_LOOKS = 200


class LoginSerializer(serializers.Serializer[Any]):
    """A name and its password."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)


class TokenSerializer(serializers.Serializer[Any]):
    """A person's API token. It is shown this once."""

    token = serializers.CharField()
    user = serializers.CharField()


class PersonSerializer(serializers.Serializer[Any]):
    """Somebody whose history may be read."""

    username = serializers.CharField()
    name = serializers.CharField()
    timezone = serializers.CharField()
    is_self = serializers.BooleanField()


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
        person = authenticate(request, **login.validated_data)
        if not isinstance(person, Person):
            raise AuthenticationFailed("this name and password do not belong together")
        return Response({"token": PersonToken.issue(person), "user": person.username}, status=201)

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
        """Those whose history one may read, oneself among them."""
        people = [
            {
                "username": person.username,
                "name": person.label,
                "timezone": person.timezone,
                "is_self": person.pk == request.user.pk,
            }
            for person in visible_people(person_of(request))
        ]
        return Response({"results": people})


class AccessLogView(APIView):
    """`GET /api/access-log/`."""

    @extend_schema(operation_id="access_log", responses=LooksSerializer)
    def get(self, request: Request) -> Response:
        """Who looked at one's own data, and when: the newest 200."""
        looks = AccessLog.objects.filter(person=person_of(request))[: NEWEST_LOOKS + 1]
        results = LookSerializer(looks, many=True).data
        return Response(
            {"has_more": len(results) > NEWEST_LOOKS, "results": results[:NEWEST_LOOKS]}
        )
