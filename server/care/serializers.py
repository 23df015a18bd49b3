"""What the REST API of people takes and answers."""

from typing import Any

from rest_framework import serializers

from server.care.models import (
    Permission,
)
from server.common.codes import LONGEST_TYPED


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


class PermissionsSerializer(serializers.Serializer[Any]):
    """What a caregiver may do."""

    permissions = serializers.MultipleChoiceField(choices=Permission.choices, allow_empty=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """In a fixed order, as a list."""
        told: dict[str, Any] = super().to_representation(instance)
        told["permissions"] = [each for each in Permission if each in told["permissions"]]
        return told


class WishSerializer(PermissionsSerializer):
    """An invitation to be made. `name` is for oneself, to know later whom one invited."""

    name = serializers.CharField(max_length=100, required=False, default="", allow_blank=True)
    days = serializers.IntegerField(min_value=1, max_value=30, default=7)


class InvitationSerializer(PermissionsSerializer):
    """An invitation that can still be accepted."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    expires_at = serializers.DateTimeField()


class NewInvitationSerializer(InvitationSerializer):
    """Its code too, which is shown this once; `url` opens it in a browser."""

    code = serializers.CharField()
    url = serializers.URLField()


class InvitationsSerializer(serializers.Serializer[Any]):
    """All of one's own, newest first."""

    results = InvitationSerializer(many=True)


class LinkSerializer(PermissionsSerializer):
    """`caregiver` may do this with `person`."""

    id = serializers.IntegerField()
    caregiver = serializers.CharField(source="caregiver.username")
    person = serializers.CharField(source="person.username")
    created_at = serializers.DateTimeField()


class LinksSerializer(serializers.Serializer[Any]):
    """Those to oneself, and one's own to others."""

    results = LinkSerializer(many=True)


class AcceptSerializer(serializers.Serializer[Any]):
    """The code of an invitation."""

    code = serializers.CharField(max_length=LONGEST_TYPED)


class AuditEntrySerializer(serializers.Serializer[Any]):
    """`actor` did `event`, with or to `subject`; empty is the operator, or nobody known."""

    at = serializers.DateTimeField()
    event = serializers.CharField()
    actor = serializers.CharField(source="actor_name")
    subject = serializers.CharField(source="subject_name")
    detail = serializers.CharField()


class AuditLogSerializer(serializers.Serializer[Any]):
    """A page, newest first; `has_more` says that there is a next one."""

    has_more = serializers.BooleanField()
    results = AuditEntrySerializer(many=True)
