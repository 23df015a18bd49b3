"""Send commands to start and stop sessions, and find out their outcome.

    asked -> sent -> obeyed     the requested session has started, or is over
                  -> expired    no document arrived in time; one may still arrive later
          -> failed             the command could not be sent

A command is published at the broker. A device without a connection to it asks for its commands over
HTTP every two seconds (`waiting_for`); it is told a command each time until that is obeyed or has
expired, because an answer may be lost. A command can come both ways: the device knows its id.

The outcome is not stored but read from the sessions: a device's documents are its only answer, so
that no other answer can get lost or contradict them.
"""

import json
import logging
import threading
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from server.care.access import note_look, visible_people
from server.care.models import Permission, Person
from server.common.fields import instant_text
from server.common.mqtt import BrokerError, broker_settings, connected, device_topic
from server.devices.models import BEGINNING, Command, CommandName, Device
from server.session_data.models import SessionData, State

log = logging.getLogger(__name__)

Outcome = Literal["sent", "obeyed", "expired", "failed"]

# Commands expire: a session that starts later than this would surprise people.
LIFE = timedelta(seconds=30)
# A device aims for a minute. Whoever looks at the page repeats the command every 20 s.
AIM_AGAIN = timedelta(seconds=10)
# Maximum number of threads per process that wait for the broker, so that the others can still
# answer requests while it hangs.
MOST_WAITING = 2
TURN_S = 1.0

_turns = threading.BoundedSemaphore(MOST_WAITING)


class BrokerAwayError(Exception):
    """The command could not be sent to the broker; the message says why."""


class NotConnectedError(Exception):
    """The device is not connected: neither to the broker, nor does it ask over HTTP."""


class AlreadyAskedError(Exception):
    """Somebody else has asked for the same, and the device hasn't answered yet."""


def device_to_start(asker: Person, device_id: UUID) -> Device | None:
    """Return the device, if `asker` may start sessions of its person and it is not revoked."""
    ours = Device.objects.filter(person__in=_controlled_by(asker), revoked_at=None)
    return ours.select_related("person").filter(pk=device_id).first()


def session_to_stop(asker: Person, session_id: UUID) -> SessionData | None:
    """Return the session, if `asker` may stop its person's sessions."""
    sessions = SessionData.objects.filter(user__in=_controlled_by(asker))
    return sessions.select_related("user", "device__person").filter(pk=session_id).first()


def device_measuring(session: SessionData) -> Device | None:
    """Return the device that can end the session: not revoked, and still its person's."""
    device = session.device
    if device is None or device.revoked_at or device.person_id != session.user_id:
        return None
    return device


def _controlled_by(asker: Person) -> QuerySet[Person]:
    return visible_people(asker, Permission.CONTROL).order_by()


def ask(
    asker: Person, device: Device, name: CommandName, session_id: UUID, activity: str = ""
) -> Command:
    """Send a command to `device` for `asker`; return once the broker has it.

    `activity` is that of the session to start, or empty.

    The caller has checked the permission. If the same command by `asker` is still pending, return
    that one, so that two clicks start one session. Raises `AlreadyAskedError` if somebody else's
    start or check is pending: its session id is theirs. If the device does not ask for commands
    over HTTP either, raises `BrokerAwayError` or `NotConnectedError`, and stores the reason in the
    command.
    """
    command, is_new = _record(asker, device, name, session_id, activity)
    if not is_new:
        return command
    about = None if name == CommandName.AIM else command.session_id  # it makes no session
    note_look(asker, device.person, f"{name} command", about)
    try:
        _send(command)
    except (BrokerAwayError, NotConnectedError) as error:
        if Device.objects.get(pk=device.pk).polls:
            return command
        Command.objects.filter(pk=command.pk).update(problem=str(error)[:200])
        raise
    return command


def _record(
    asker: Person, device: Device, name: CommandName, session_id: UUID, activity: str
) -> tuple[Command, bool]:
    now = timezone.now()
    with transaction.atomic():
        Device.objects.select_for_update().get(pk=device.pk)  # lock: one command at a time
        lately = Command.objects.filter(device=device, person=device.person, command=name)
        last = lately.filter(expires_at__gt=now).first()
        if last is not None and _is_same(last, session_id, now) and outcome(last) == "sent":
            if name in BEGINNING and last.asked_by_id != asker.pk:
                raise AlreadyAskedError("somebody else has just asked the device for it")
            return last, False
        if name == CommandName.START:
            Device.objects.filter(pk=device.pk).update(activity=activity)
        return Command.objects.create(
            device=device,
            person=device.person,
            asked_by=asker,
            asked_by_name=asker.username,
            command=name,
            session_id=session_id,
            activity=activity,
            asked_at=now,
            expires_at=now + LIFE,
        ), True


def _is_same(last: Command, session_id: UUID, now: datetime) -> bool:
    """Return whether a pending command would be repeated by one of its name for that session."""
    if last.command == CommandName.AIM:
        return now - last.asked_at < AIM_AGAIN
    return last.command in BEGINNING or last.session_id == session_id


def _send(command: Command) -> None:
    """Publish the command at QoS 1 and wait for the broker's acknowledgement, with a timeout."""
    payload = json.dumps(message_of(command)).encode()
    topic = device_topic(command.device_id, "commands")
    if Device.objects.filter(pk=command.device_id, credentials_ended=True).exists():
        # The former owner's connection may still be there, if the broker was away.
        raise NotConnectedError("the device needs new credentials")
    if not _turns.acquire(timeout=TURN_S):
        raise BrokerAwayError("the broker is slow, and other commands are waiting for it")
    try:
        with connected(broker_settings()) as connection:
            expiry_s = LIFE // timedelta(seconds=1)
            received = connection.publish(topic, payload, expiry_s)
    except BrokerError as error:
        raise BrokerAwayError(f"the broker {error}") from error
    except ImproperlyConfigured as error:
        log.error("could not send a command: %s", error)
        raise BrokerAwayError("the server's broker settings are invalid") from error
    finally:
        _turns.release()
    if not received:
        raise NotConnectedError("the device is not connected")


def message_of(command: Command) -> dict[str, str]:
    """Return the command as a device is told it."""
    told = {
        "id": str(command.pk),
        "command": command.command,
        "expires_at": instant_text(command.expires_at),
        "session_id": str(command.session_id),
    }
    return told | {"activity": command.activity} if command.activity else told


def waiting_for(device: Device) -> list[Command]:
    """Return the commands that `device` has not obeyed yet and that are still valid, oldest first.

    A command is for the person who had the device when it was asked for, and no other.
    """
    lately = Command.objects.filter(
        device=device, person=device.person_id, asked_at__gt=timezone.now() - LIFE
    )
    return [each for each in lately.order_by("asked_at", "id") if outcome(each) == "sent"]


def outcome(command: Command) -> Outcome:
    """Return the command's current outcome: see the table above."""
    session = SessionData.objects.filter(pk=command.session_id, device=command.device_id)
    if command.command == CommandName.STOP:
        session = session.exclude(state=State.ACTIVE)
    if session.exists():
        return "obeyed"
    if command.problem:
        return "failed"
    return "expired" if command.expires_at <= timezone.now() else "sent"
