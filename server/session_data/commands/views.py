"""Commands in the API: their outcomes, and those that wait for a device.

The session views send them.
"""

from typing import Any
from uuid import UUID

from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care.access import visible_people
from server.care.authentication import person_of
from server.care.models import Permission, Person
from server.common.fields import instant_text
from server.common.problems import BrokerUnavailable, Conflict
from server.devices.authentication import IsDevice
from server.devices.fair_share import PollThrottle
from server.devices.models import Command, CommandName, Device
from server.session_data.commands.ask import (
    AlreadyAskedError,
    BrokerAwayError,
    NotConnectedError,
    ask,
    message_of,
    outcome,
    waiting_for,
)
from server.session_data.models import ACTIVITIES

OUTCOMES = ["sent", "obeyed", "expired", "failed"]


class CommandSerializer(serializers.Serializer[Any]):
    """A command and its outcome.

    `sent`: no answer from the device yet. `obeyed`: the session has started, or is over.
    `expired`: no answer in time. `failed`: the command could not be sent; `problem` says why.
    """

    id = serializers.UUIDField()
    command = serializers.ChoiceField(choices=CommandName.choices)
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    problem = serializers.CharField(allow_null=True)
    device = serializers.UUIDField()
    user = serializers.CharField(help_text="User name of the device's owner")
    session_id = serializers.UUIDField(help_text="The session to start or to end")
    activity = serializers.ChoiceField(choices=ACTIVITIES, allow_null=True)
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


def command_data(command: Command) -> dict[str, Any]:
    """Return the command in the form of `CommandSerializer`."""
    return {
        "id": str(command.pk),
        "command": command.command,
        "outcome": outcome(command),
        "problem": command.problem or None,
        "device": str(command.device_id),
        "user": command.person.username,
        "session_id": str(command.session_id),
        "activity": command.activity or None,
        "asked_by": command.asked_by_name,
        "asked_at": instant_text(command.asked_at),
        "expires_at": instant_text(command.expires_at),
    }


def asked(
    asker: Person, device: Device, name: CommandName, session_id: UUID, activity: str = ""
) -> Response:
    """Send a command and return 202 once the broker has it, or if the device asks for commands.

    Raises `BrokerUnavailable` (503), or `Conflict` (409) if the device is not connected or somebody
    else has just asked it to start.
    """
    try:
        command = ask(asker, device, name, session_id, activity)
    except BrokerAwayError as error:
        raise BrokerUnavailable(f"the command was not sent: {error}") from error
    except NotConnectedError as error:
        raise Conflict(f"the command was not sent: {error}", "not_connected") from error
    except AlreadyAskedError as error:
        raise Conflict(f"the command was not sent: {error}", "already_asked") from error
    where = reverse("command", args=[command.pk])
    return Response(command_data(command), status=202, headers={"Location": where})


class WaitingCommandSerializer(serializers.Serializer[Any]):
    """A command as a device is told it, by MQTT too except for `expires_in_s`."""

    id = serializers.UUIDField()
    command = serializers.ChoiceField(choices=CommandName.choices)
    expires_at = serializers.DateTimeField()
    session_id = serializers.UUIDField(help_text="The session to start or to end")
    activity = serializers.ChoiceField(
        choices=ACTIVITIES, required=False, help_text="Of the session to start, if known"
    )
    expires_in_s = serializers.FloatField(help_text="Seconds; the device's clock may be wrong")


class WaitingCommandsSerializer(serializers.Serializer[Any]):
    """The commands that wait for a device, oldest first."""

    commands = WaitingCommandSerializer(many=True)


class DeviceCommandsView(APIView):
    """`GET /api/device/commands/`."""

    permission_classes = [IsDevice]
    throttle_classes = [PollThrottle]

    @extend_schema(operation_id="device_commands", responses=WaitingCommandsSerializer)
    def get(self, request: Request) -> Response:
        """List the valid commands for this device. A device asks while it has no broker.

        The answer is immediate. A command is listed until it has been obeyed or has expired.
        """
        device = request.user
        assert isinstance(device, Device)
        device.note_poll()
        now = timezone.now()
        told = [
            message_of(each) | {"expires_in_s": (each.expires_at - now).total_seconds()}
            for each in waiting_for(device)
        ]
        return Response({"commands": told})


class CommandView(APIView):
    """`GET /api/commands/<id>/`."""

    @extend_schema(operation_id="command", responses=CommandSerializer)
    def get(self, request: Request, command_id: UUID) -> Response:
        """Show a command's outcome. Poll until it is no longer `sent`."""
        whose = visible_people(person_of(request), Permission.CONTROL).order_by()
        commands = Command.objects.filter(person__in=whose)
        command = commands.select_related("person").filter(pk=command_id).first()
        if command is None:
            raise Http404
        return Response(command_data(command))
