"""Receive session documents: one way in behind both doors, HTTP and MQTT.

    read -- one transaction: store, keep what was refused, note the device -- answer

When `receive` returns, everything is committed; when it raises `django.db.Error`, nothing is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from server.common.parsing import Received
from server.devices.models import Device
from server.session_data.accept import (
    Acceptance,
    Document,
    Writer,
    read_many,
    rejected,
    store_many,
)
from server.session_data.amend import amend
from server.session_data.dead_letters import UNKNOWN, keep_dead_letter


@dataclass(slots=True)
class Delivery:
    """A payload as it arrived, its writer, and what became of it.

    `sender` is the device's id as claimed. `writer` is `None` where we know no such device. A
    payload that can't be read has no `document`, and its `acceptance` from the beginning.
    """

    door: str
    sender: str
    payload: bytes
    writer: Writer | None
    document: Document | None = None
    acceptance: Acceptance | None = None

    @property
    def device(self) -> Device | None:
        """The device that wrote it, if one did."""
        return self.writer.device if self.writer else None

    def keep_if_refused(self) -> None:
        """Keep a dead letter of what an unknown device sent, or a device's refused document."""
        refused = self.acceptance is not None and self.acceptance.outcome == "rejected"
        if self.writer is None:
            keep_dead_letter(self.door, self.sender, None, UNKNOWN, self.payload)
        elif self.device is not None and refused:
            assert self.acceptance is not None
            reason = self.acceptance.reason
            keep_dead_letter(self.door, self.sender, self.device, reason, self.payload)

    def note_sender(self) -> None:
        """Note that the device was seen."""
        if self.device is not None:
            self.device.touch()


def by_http(writer: Writer, document: Document) -> Delivery:
    """Make a delivery of a request's document: its text as sent, unless it was changed since."""
    text = document.text if isinstance(document, Received) else json.dumps(document)
    sender = str(writer.device.pk) if writer.device else ""
    return Delivery("http", sender, text.encode(), writer, document)


def receive(deliveries: Sequence[Delivery]) -> list[Acceptance | None]:
    """Store the documents; return each delivery's answer, `None` for one that gets none.

    An unknown or revoked device gets none by MQTT: its data waits with it, and by HTTP it is told.
    """
    documents = [
        (each, each.writer, each.document)
        for each in deliveries
        if each.writer is not None and each.document is not None
    ]
    # Before the transaction: on SQLite nobody else can write while one is open.
    read = read_many([(writer, document) for _, writer, document in documents])
    with transaction.atomic():
        for (each, *_), acceptance in zip(documents, store_many(read), strict=True):
            each.acceptance = acceptance
        _conclude(deliveries)
    return [each.acceptance for each in deliveries]


def receive_changes(delivery: Delivery, session_id: UUID, *, end: bool) -> Acceptance:
    """Merge the delivered changes into the session's document: see `amend`, also for errors."""
    assert delivery.writer is not None
    assert delivery.document is not None
    with transaction.atomic():
        acceptance = amend(delivery.writer, session_id, delivery.document, end=end)
        delivery.acceptance = acceptance
        _conclude([delivery])
    return acceptance


def refuse(delivery: Delivery, reason: str) -> Acceptance:
    """Refuse a delivery that can't be stored whatever is done, and keep it as a dead letter."""
    acceptance = delivery.acceptance = rejected(delivery.document, reason)
    with transaction.atomic():
        _conclude([delivery])
    return acceptance


def _conclude(deliveries: Sequence[Delivery]) -> None:
    """Keep dead letters, then note the devices, each in the order of the senders.

    Every consumer gets every status, so two that lock the same rows in other orders would
    deadlock.
    """
    in_order = sorted(deliveries, key=lambda each: each.sender)  # keeps a sender's own order
    for each in in_order:
        each.keep_if_refused()
    for each in in_order:
        each.note_sender()
