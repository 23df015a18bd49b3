"""What the REST API of devices takes and answers."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from server.common.codes import LONGEST_TYPED

LONGEST_MINUTES = 24 * 60


class PresenceSerializer(serializers.Serializer[Any]):
    """A device, and whether it is there."""

    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment] # a field of ours, not its own
    user = serializers.CharField(help_text="Whose it is")
    online = serializers.BooleanField(allow_null=True, help_text="null: never said")
    last_seen_at = serializers.DateTimeField(allow_null=True)
    revoked = serializers.BooleanField()


class PresencesSerializer(serializers.Serializer[Any]):
    """All of a person's, by name."""

    results = PresenceSerializer(many=True)


class DeviceTokenSerializer(serializers.Serializer[Any]):
    """A token that lives: how it begins, and when it was used."""

    prefix = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class DeviceSerializer(PresenceSerializer):
    """A device, for who manages it."""

    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    reassigned_at = serializers.DateTimeField(allow_null=True)
    agent_version = serializers.CharField(allow_null=True)
    pending_sessions = serializers.IntegerField(
        allow_null=True, help_text="What waits on it to be sent, when it last said so"
    )
    tokens = DeviceTokenSerializer(many=True)


class RefusedSerializer(serializers.Serializer[Any]):
    """A document that was refused, and why."""

    received_at = serializers.DateTimeField()
    reason = serializers.CharField()


class RefusalsSerializer(serializers.Serializer[Any]):
    """The newest, newest first."""

    results = RefusedSerializer(many=True)


class RenameSerializer(serializers.Serializer[Any]):
    """What it is called from now on."""

    label = serializers.CharField(max_length=64)  # type: ignore[assignment]


class CodeWishSerializer(serializers.Serializer[Any]):
    """A code for a device that will be called so, of oneself or of a member one administers."""

    label = serializers.CharField(max_length=64)  # type: ignore[assignment]
    user = serializers.CharField(max_length=150, required=False)
    minutes = serializers.IntegerField(min_value=1, max_value=LONGEST_MINUTES, default=60)


class CodeSerializer(serializers.Serializer[Any]):
    """A claim code. It is shown this once."""

    code = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    user = serializers.CharField()
    expires_at = serializers.DateTimeField()


class CredentialsSerializer(serializers.Serializer[Any]):
    """A device's next credentials. They are shown this once."""

    device = serializers.UUIDField()
    token = serializers.CharField()
    mqtt_password = serializers.CharField(allow_null=True)


class ReassignSerializer(serializers.Serializer[Any]):
    """A claim code of who takes it; or, for an institution's admin, the member's user name."""

    code = serializers.CharField(max_length=LONGEST_TYPED, required=False)
    user = serializers.CharField(max_length=150, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One of the two."""
        if ("code" in attrs) == ("user" in attrs):
            raise ValidationError("expected either a code or a user")
        return attrs


class ClaimSerializer(serializers.Serializer[Any]):
    """The code that a person made, as it was typed, and who types it."""

    code = serializers.CharField(max_length=LONGEST_TYPED)
    agent_version = serializers.CharField(max_length=64, required=False, default="")


class ClaimedSerializer(serializers.Serializer[Any]):
    """A device's identity. Its secrets are shown this once."""

    device = serializers.UUIDField()
    token = serializers.CharField()
    mqtt_password = serializers.CharField(
        allow_null=True, help_text="null where the broker's identities are made by hand"
    )
    mqtt_url = serializers.CharField(allow_null=True, help_text="null where there is no broker")
    label = serializers.CharField()  # type: ignore[assignment] # a field of ours, not its own
    server_time = serializers.DateTimeField(help_text="For a box without a clock")
