"""The API's forms for releases: what devices report, and what people see."""

from typing import Any

from rest_framework import serializers

from server.releases.models import UpdateState

REPORTED = [each for each in UpdateState.values if each != UpdateState.ASKED]


class ProgressSerializer(serializers.Serializer[Any]):
    """How far a requested update is, by the device."""

    request = serializers.UUIDField()
    state = serializers.ChoiceField(choices=REPORTED)
    percent = serializers.IntegerField(min_value=0, max_value=100, required=False, allow_null=True)
    code = serializers.CharField(max_length=32, required=False, allow_null=True)
    problem = serializers.CharField(max_length=500, required=False, allow_null=True)


class ReportSerializer(serializers.Serializer[Any]):
    """A device's version, machine and Python, the key that it trusts, and its update."""

    version = serializers.CharField(max_length=64)
    machine = serializers.CharField(max_length=32)
    python = serializers.CharField(max_length=16)
    key = serializers.CharField(max_length=22, allow_null=True)
    update = ProgressSerializer(allow_null=True)  # type: ignore[assignment]


class RotationSerializer(serializers.Serializer[Any]):
    """A new key, with the signature of the key before it in base64."""

    statement = serializers.CharField()
    signature = serializers.CharField()


class WantedSerializer(serializers.Serializer[Any]):
    """A release to install. `signature` is that of the text `manifest`, in base64."""

    request = serializers.UUIDField()
    manifest = serializers.CharField()
    signature = serializers.CharField()
    keys = RotationSerializer(many=True, help_text="The changes of the key, oldest first")


class AnswerSerializer(serializers.Serializer[Any]):
    """What the device is to install."""

    wanted = WantedSerializer(allow_null=True, help_text="null: nothing")


class KeySerializer(serializers.Serializer[Any]):
    """The public key that signs releases."""

    key = serializers.CharField()
    fingerprint = serializers.CharField()


class OfferedSerializer(serializers.Serializer[Any]):
    """A release that the device could take. `sha256` identifies it."""

    version = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField()


class UpdateSerializer(serializers.Serializer[Any]):
    """An update that was asked for, and how far it is. `code` says why it failed."""

    version = serializers.CharField()
    state = serializers.ChoiceField(choices=UpdateState.choices)
    percent = serializers.IntegerField(allow_null=True)
    code = serializers.CharField(allow_null=True)
    asked_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()


class SoftwareSerializer(serializers.Serializer[Any]):
    """A device's version, the release that it is offered, and its last update."""

    version = serializers.CharField(allow_null=True)
    key_trusted = serializers.BooleanField(
        allow_null=True, help_text="null: not known, or the server offers no releases"
    )
    offered = OfferedSerializer(allow_null=True)
    update = UpdateSerializer(allow_null=True)  # type: ignore[assignment]


class InstallSerializer(serializers.Serializer[Any]):
    """Which of the offered releases to install."""

    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$")
