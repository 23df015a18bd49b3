"""Serializers of the REST API of people."""

from typing import Any

from rest_framework import serializers

from server.care.models import (
    LONGEST_TOKEN_LIFE,
    AuditEvent,
    Invitation,
    Permission,
    PersonToken,
    TokenScope,
)
from server.common.codes import LONGEST_TYPED
from server.common.paging import PageSerializer


class LoginSerializer(serializers.Serializer[Any]):
    """A user name and password, and a code if the person has a second factor.

    `name` says which app gets the token; by default it is the first word of `User-Agent`.
    """

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    code = serializers.CharField(max_length=32, required=False, default="", allow_blank=True)
    name = serializers.CharField(
        max_length=PersonToken.LONGEST_NAME, required=False, default="", allow_blank=True
    )
    scope = serializers.ChoiceField(choices=TokenScope.choices, default=TokenScope.WRITE.value)
    days = serializers.IntegerField(
        min_value=1,
        max_value=LONGEST_TOKEN_LIFE.days,
        default=LONGEST_TOKEN_LIFE.days,
        help_text="How long the token is valid",
    )


class TokenInfoSerializer(serializers.Serializer[Any]):
    """A person's API token, without its text."""

    user = serializers.CharField(source="person.username")
    name = serializers.CharField()
    scope = serializers.ChoiceField(choices=TokenScope.choices)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class TokenSerializer(TokenInfoSerializer):
    """A person's new API token. Its text is not shown again."""

    token = serializers.CharField()


class PersonSerializer(serializers.Serializer[Any]):
    """A person whose data you can use, with your permissions."""

    username = serializers.CharField()
    name = serializers.CharField()
    timezone = serializers.CharField()
    is_self = serializers.BooleanField()
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=Permission.choices))


class LookSerializer(serializers.Serializer[Any]):
    """An entry of the access log: `viewer` looked `views` times from `first_at` to `last_at`."""

    viewer = serializers.CharField(source="viewer_name")
    what = serializers.CharField()
    session_id = serializers.UUIDField(allow_null=True)
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    views = serializers.IntegerField()


class PeopleSerializer(PageSerializer):
    """A page of the people whose data you can use, by user name."""

    results = PersonSerializer(many=True)


class LooksSerializer(PageSerializer):
    """A page of the access log, newest first."""

    results = LookSerializer(many=True)


class PermissionsSerializer(serializers.Serializer[Any]):
    """A caregiver's permissions."""

    permissions = serializers.MultipleChoiceField(choices=Permission.choices, allow_empty=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return the permissions as a list in a fixed order."""
        told: dict[str, Any] = super().to_representation(instance)
        told["permissions"] = [each for each in Permission if each in told["permissions"]]
        return told


class InvitationCreateSerializer(PermissionsSerializer):
    """A new invitation. `name` is a note for yourself on whom it is for."""

    name = serializers.CharField(max_length=100, required=False, default="", allow_blank=True)
    days = serializers.IntegerField(
        min_value=1, max_value=Invitation.LONGEST_LIFE.days, default=Invitation.LIFE.days
    )


class InvitationSerializer(PermissionsSerializer):
    """An invitation that can still be accepted."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    expires_at = serializers.DateTimeField()


class NewInvitationSerializer(InvitationSerializer):
    """A new invitation with its code, which is not shown again; `url` opens it in a browser."""

    code = serializers.CharField()
    url = serializers.URLField()


class InvitationsSerializer(PageSerializer):
    """A page of your open invitations, newest first."""

    results = InvitationSerializer(many=True)


class LinkSerializer(PermissionsSerializer):
    """A link: `caregiver` has these permissions for `person`."""

    id = serializers.IntegerField()
    caregiver = serializers.CharField(source="caregiver.username")
    person = serializers.CharField(source="person.username")
    created_at = serializers.DateTimeField()


class LinksSerializer(PageSerializer):
    """A page of the links to your caregivers, and to the people you care for, newest first."""

    results = LinkSerializer(many=True)


class AcceptSerializer(serializers.Serializer[Any]):
    """The code of an invitation."""

    code = serializers.CharField(max_length=LONGEST_TYPED)


class AuditEntrySerializer(serializers.Serializer[Any]):
    """An entry of the audit log: `actor` did `event`, to or concerning `subject`.

    It was done `count` times from `at` until `last_at`. An empty name is the server's operator, or
    unknown.
    """

    at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    count = serializers.IntegerField()
    event = serializers.ChoiceField(choices=AuditEvent.values)
    actor = serializers.CharField(source="actor_name")
    subject = serializers.CharField(source="subject_name")
    detail = serializers.CharField()


class AuditLogSerializer(PageSerializer):
    """A page of the audit log, newest first."""

    results = AuditEntrySerializer(many=True)
