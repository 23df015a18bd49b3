"""A batch of messages from the broker -> the database, in one transaction, and the answers to it.

Knows no broker: messages in, answers out. Whose a message is says its topic, which the broker lets
nobody but that device write to.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from server.common.fields import CANONICAL_UUID
from server.common.mqtt import Message
from server.common.parsing import UnreadableError, parse_document
from server.devices.models import Device
from server.devices.presence import note_status
from server.session_data.accept import Acceptance, Document, Writer, read_many, rejected, store_many
from server.session_data.dead_letters import keep_dead_letter

TOPIC = re.compile(
    rf"blinklog/1/devices/(?P<device>{CANONICAL_UUID.pattern})/(?P<kind>sessions|status)"
)


@dataclass(slots=True)
class _Parcel:
    """A message, whose it is, what is in it, and what became of it."""

    message: Message
    device: Device | None
    kind: str
    document: Document | None = None
    acceptance: Acceptance | None = None


def take(messages: Sequence[Message]) -> list[Acceptance | None]:
    """Store what is in the messages; for each the answer it gets, if any.

    When this returns, all of it is committed; when it raises `django.db.Error`, none of it. No
    answer goes to a device that is unknown or revoked: its data waits with it, and by HTTP it will
    be told why.
    """
    parcels = _open(messages)
    sessions = [parcel for parcel in parcels if parcel.document is not None]
    # Before the transaction: on SQLite nobody else can write while one is open.
    read = read_many([_document_of(parcel) for parcel in sessions])
    with transaction.atomic():
        for parcel, acceptance in zip(sessions, store_many(read), strict=True):
            parcel.acceptance = acceptance
        _look_after(parcels)
    return [parcel.acceptance for parcel in parcels]


def devices_of(messages: Sequence[Message]) -> set[UUID]:
    """Whose topics they came by."""
    names = (TOPIC.fullmatch(message.topic) for message in messages)
    return {UUID(name["device"]) for name in names if name}


def refuse(message: Message, reason: str) -> Acceptance | None:
    """Of a single message that can't be stored whatever is done: keep it aside, and say so."""
    with transaction.atomic():
        (parcel,) = _open([message])
        if parcel.device is None or parcel.kind != "sessions":
            return None
        parcel.acceptance = rejected(parcel.document, reason)
        _keep_aside(parcel)
    return parcel.acceptance


def _open(messages: Sequence[Message]) -> list[_Parcel]:
    names = [TOPIC.fullmatch(message.topic) for message in messages]
    wanted = {UUID(name["device"]) for name in names if name}
    live = Device.objects.filter(pk__in=wanted, revoked_at=None).select_related("person")
    devices: Mapping[UUID, Device] = live.in_bulk()
    return [
        _opened(message, devices.get(UUID(name["device"])), name["kind"])
        if name
        else _Parcel(message, None, "")
        for message, name in zip(messages, names, strict=True)
    ]


def _opened(message: Message, device: Device | None, kind: str) -> _Parcel:
    parcel = _Parcel(message, device, kind)
    if device is not None and kind == "sessions":
        try:
            parcel.document = parse_document(message.payload)
        except UnreadableError as error:
            parcel.acceptance = rejected(None, str(error))
    return parcel


def _document_of(parcel: _Parcel) -> tuple[Writer, Document]:
    assert parcel.device is not None
    assert parcel.document is not None
    return Writer(parcel.device.person, parcel.device), parcel.document


def _look_after(parcels: Sequence[_Parcel]) -> None:
    """What could not be accepted, and what is new of the devices.

    First the letters, then the devices, each in the order of their topics: every consumer gets
    every status, and two that lock the same rows in other orders would wait in a ring.
    """
    in_order = sorted(parcels, key=lambda parcel: parcel.message.topic)  # keeps a topic's own order
    for parcel in in_order:
        if parcel.kind != "status":
            _keep_aside(parcel)
    for parcel in in_order:
        if parcel.device is None:
            continue
        if parcel.kind == "status":
            message = parcel.message
            note_status(parcel.device, message.payload, retained=message.retained)
        else:
            parcel.device.touch()


def _keep_aside(parcel: _Parcel) -> None:
    """As a dead letter, if it could not be accepted."""
    message, device = parcel.message, parcel.device
    if device is None:
        sender = message.topic.removeprefix("blinklog/1/devices/")[:36].replace("\x00", "")
        keep_dead_letter("mqtt", sender, None, "no such device, or revoked", message.payload)
    elif parcel.acceptance is not None and parcel.acceptance.outcome == "rejected":
        reason = parcel.acceptance.reason
        keep_dead_letter("mqtt", str(device.pk), device, reason, message.payload)
