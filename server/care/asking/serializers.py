"""Serializers of the REST API of requests for access."""

from typing import Any

from rest_framework import serializers

from server.care.models import AccessRequest
from server.care.serializers import PermissionsSerializer
from server.common.paging import PageSerializer


class AskSerializer(PermissionsSerializer):
    """A new request for access to the member of your institution with this name.

    `name` is their user name or the name that they are shown by.
    """

    name = serializers.CharField(max_length=AccessRequest.LONGEST_NAME)
    message = serializers.CharField(
        max_length=AccessRequest.LONGEST_MESSAGE, required=False, default="", allow_blank=True
    )


class SentSerializer(PermissionsSerializer):
    """A request of yours that nobody has agreed to yet. `name` is what you wrote."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    message = serializers.CharField()
    made_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class ReceivedSerializer(PermissionsSerializer):
    """A request that you can answer. `name` is the name that the asker is shown by."""

    id = serializers.IntegerField()
    asker = serializers.CharField(source="asker.username")
    name = serializers.CharField(source="asker.label")
    institution = serializers.CharField(source="institution.name")
    message = serializers.CharField()
    made_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class SentListSerializer(PageSerializer):
    """A page of your open requests, newest first."""

    results = SentSerializer(many=True)


class ReceivedListSerializer(PageSerializer):
    """A page of the requests that you can answer, newest first."""

    results = ReceivedSerializer(many=True)


def permissions_of(data: Any) -> Any:
    """Return the permissions in an answer to a request. Raises `ValidationError`."""
    sent = PermissionsSerializer(data=data)
    sent.is_valid(raise_exception=True)
    return sent.validated_data["permissions"]
