"""/api/commands/: what became of a command. Commands are given where sessions are."""

from typing import Any
from uuid import UUID

from django.http import Http404
from django.urls import reverse
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
from server.devices.models import Command, CommandName, Device
from server.session_data.commands.ask import BrokerAwayError, NotConnectedError, ask, outcome

OUTCOMES = ["sent", "obeyed", "expired", "failed"]


class CommandSerializer(serializers.Serializer[Any]):
    """A command, and what became of it.

    `sent`: no word of the device yet. `obeyed`: the session appeared, or is over. `expired`:
    nothing came in time. `failed`: the device could not be told, `problem` says why.
    """

    id = serializers.UUIDField()
    command = serializers.ChoiceField(choices=CommandName.choices)
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    problem = serializers.CharField(allow_null=True)
    device = serializers.UUIDField()
    user = serializers.CharField(help_text="Whose device it is")
    session_id = serializers.UUIDField(help_text="The session that appears, or ends")
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


def command_data(command: Command) -> dict[str, Any]:
    """As `CommandSerializer` describes it."""
    return {
        "id": str(command.pk),
        "command": command.command,
        "outcome": outcome(command),
        "problem": command.problem or None,
        "device": str(command.device_id),
        "user": command.person.username,
        "session_id": str(command.session_id),
        "asked_by": command.asked_by_name,
        "asked_at": instant_text(command.asked_at),
        "expires_at": instant_text(command.expires_at),
    }


def asked(asker: Person, device: Device, name: CommandName, session_id: UUID) -> Response:
    """202 with the command, once the broker has it; 503 or 409 where it could not be sent."""
    try:
        command = ask(asker, device, name, session_id)
    except BrokerAwayError as error:
        raise BrokerUnavailable(f"the command was not sent: {error}") from error
    except NotConnectedError as error:
        raise Conflict(f"the command was not sent: {error}") from error
    where = reverse("command", args=[command.pk])
    return Response(command_data(command), status=202, headers={"Location": where})


class CommandView(APIView):
    """`GET /api/commands/<id>/`."""

    @extend_schema(operation_id="command", responses=CommandSerializer)
    def get(self, request: Request, command_id: UUID) -> Response:
        """What became of a command: ask until it is no longer `sent`."""
        whose = visible_people(person_of(request), Permission.CONTROL).order_by()
        commands = Command.objects.filter(person__in=whose)
        command = commands.select_related("person").filter(pk=command_id).first()
        if command is None:
            raise Http404
        return Response(command_data(command))
