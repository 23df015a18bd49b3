"""Store a batch of MQTT messages in one transaction and return the acceptances.

This module doesn't use the broker. The topic identifies the sender, because the broker allows only
that device to publish to it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from server.aiming.kept import note_view
from server.common.fields import CANONICAL_UUID
from server.common.mqtt import Message
from server.devices.models import Device
from server.devices.presence import note_status
from server.session_data.accept import Acceptance, Writer
from server.session_data.receive import Delivery, receive_batch

PREFIX = "blinklog/1/devices/"
TOPIC = re.compile(rf"{PREFIX}(?P<device>{CANONICAL_UUID.pattern})/(?P<kind>sessions|status|aim)")


@dataclass(slots=True)
class Status(Delivery):
    """A device's status message: it has no document and gets no answer."""

    retained: bool = False

    def is_document(self) -> bool:
        """Return False."""
        return False

    def keep_if_refused(self) -> None:
        """Keep nothing: devices send their status regularly."""

    def note_sender(self) -> None:
        """Store the device's status."""
        if self.device is not None:
            note_status(self.device, self.payload, retained=self.retained)


@dataclass(slots=True)
class View(Delivery):
    """A device's view while it is aimed: it has no document and gets no answer."""

    def is_document(self) -> bool:
        """Return False."""
        return False

    def keep_if_refused(self) -> None:
        """Keep nothing: the next view comes in a fifth of a second."""

    def note_sender(self) -> None:
        """Keep the device's view."""
        if self.device is not None:
            note_view(self.device, self.payload)


def take(messages: Sequence[Message]) -> list[Acceptance | None]:
    """Store the messages; return each one's acceptance or `None` for no answer.

    A deferred document gets no answer: its device keeps it and sends it again. Raises the errors
    of `receive_batch`.
    """
    acceptances = receive_batch(_open(messages))
    return [None if each and each.outcome == "deferred" else each for each in acceptances]


def devices_of(messages: Sequence[Message]) -> set[UUID]:
    """Return the ids of the devices that sent the messages; views change nothing elsewhere."""
    names = (TOPIC.fullmatch(message.topic) for message in messages)
    return {UUID(name["device"]) for name in names if name and name["kind"] != "aim"}


def _open(messages: Sequence[Message]) -> list[Delivery]:
    names = [TOPIC.fullmatch(message.topic) for message in messages]
    wanted = {UUID(name["device"]) for name in names if name}
    live = Device.objects.filter(pk__in=wanted, revoked_at=None, credentials_ended=False)
    devices: Mapping[UUID, Device] = live.select_related("person").in_bulk()
    return [
        _opened(message, devices.get(UUID(name["device"])) if name else None, name and name["kind"])
        for message, name in zip(messages, names, strict=True)
    ]


def _opened(message: Message, device: Device | None, kind: str | None) -> Delivery:
    sender = message.topic.removeprefix(PREFIX)[:36].replace("\x00", "")
    writer = Writer(device.person, device) if device else None
    if kind == "status":
        return Status("mqtt", sender, message.payload, writer, retained=message.retained)
    if kind == "aim":
        return View("mqtt", sender, message.payload, writer)
    return Delivery("mqtt", sender, message.payload, writer)
