"""Serializers of the REST API of devices."""

from datetime import timedelta
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from server.common.codes import LONGEST_TYPED
from server.common.paging import PageSerializer
from server.devices.models import ClaimCode

MINUTE = timedelta(minutes=1)


class PresenceSerializer(serializers.Serializer[Any]):
    """A device, and whether it is online."""

    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment] # a field of ours, not its own
    user = serializers.CharField(help_text="User name of the owner")
    online = serializers.BooleanField(allow_null=True, help_text="null: unknown")
    last_seen_at = serializers.DateTimeField(allow_null=True)
    revoked = serializers.BooleanField()


class PresencesSerializer(PageSerializer):
    """A page of devices, by name."""

    results = PresenceSerializer(many=True)


class DeviceTokenSerializer(serializers.Serializer[Any]):
    """A valid token: its first characters, and when it was last used."""

    prefix = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class DeviceSerializer(PresenceSerializer):
    """A device with the details for the people who manage it."""

    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    reassigned_at = serializers.DateTimeField(allow_null=True)
    agent_version = serializers.CharField(allow_null=True)
    pending_sessions = serializers.IntegerField(
        allow_null=True, help_text="Number of unsent sessions, from its last status"
    )
    tokens = DeviceTokenSerializer(many=True)


class AuthoritySerializer(serializers.Serializer[Any]):
    """A private authority's certificates."""

    certificates = serializers.CharField(help_text="In PEM")


class RefusedSerializer(serializers.Serializer[Any]):
    """A rejected document: when, and why."""

    received_at = serializers.DateTimeField()
    reason = serializers.CharField()


class RefusalsSerializer(PageSerializer):
    """A page of the rejected documents, newest first."""

    results = RefusedSerializer(many=True)


class RenameSerializer(serializers.Serializer[Any]):
    """A device's new name."""

    label = serializers.CharField(max_length=64)  # type: ignore[assignment]


class ClaimCodeCreateSerializer(serializers.Serializer[Any]):
    """A new claim code, for a device of yours or of a member (`user`) that you administer."""

    label = serializers.CharField(max_length=64)  # type: ignore[assignment]
    user = serializers.CharField(max_length=150, required=False)
    minutes = serializers.IntegerField(
        min_value=1,
        max_value=ClaimCode.LONGEST_LIFE // MINUTE,
        default=ClaimCode.LIFE // MINUTE,
    )


class CodeSerializer(serializers.Serializer[Any]):
    """A new claim code. It is not shown again."""

    code = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    user = serializers.CharField()
    expires_at = serializers.DateTimeField()


class CredentialsSerializer(serializers.Serializer[Any]):
    """A device's new credentials. They are not shown again."""

    device = serializers.UUIDField()
    token = serializers.CharField()
    mqtt_password = serializers.CharField(allow_null=True)


class ReassignSerializer(serializers.Serializer[Any]):
    """A claim code of the new owner or, for an institution admin, a member's user name."""

    code = serializers.CharField(max_length=LONGEST_TYPED, required=False)
    user = serializers.CharField(max_length=150, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check that exactly one of the two is given."""
        if ("code" in attrs) == ("user" in attrs):
            raise ValidationError("expected either a code or a user", "code_or_user")
        return attrs


class ClaimSerializer(serializers.Serializer[Any]):
    """A claim code as it was typed, and the version of the agent."""

    code = serializers.CharField(max_length=LONGEST_TYPED)
    agent_version = serializers.CharField(max_length=64, required=False, default="")


class ClaimedSerializer(serializers.Serializer[Any]):
    """A new device's identity and credentials. They are not shown again."""

    device = serializers.UUIDField()
    token = serializers.CharField()
    mqtt_password = serializers.CharField(
        allow_null=True, help_text="null if the server doesn't manage broker accounts"
    )
    mqtt_url = serializers.CharField(allow_null=True, help_text="null if there is no broker")
    label = serializers.CharField()  # type: ignore[assignment] # a field of ours, not its own
    server_time = serializers.DateTimeField(help_text="For devices without a clock")
    release_key = serializers.CharField(
        allow_null=True, help_text="The public key of releases; null if none are offered"
    )
