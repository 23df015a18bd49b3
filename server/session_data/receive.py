"""Receive session documents from HTTP and MQTT.

    validate -- one transaction: store, keep dead letters, update the device -- acknowledge

When `receive` returns, everything is committed; if it raises `django.db.Error`, nothing is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
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
    """A payload as received, its writer, and its outcome.

    `sender` is the claimed device id. `writer` is `None` if there is no such device. If the payload
    can't be parsed, `document` is `None` and `acceptance` is set from the start.
    """

    door: str
    sender: str
    payload: bytes
    writer: Writer | None
    document: Document | None = None
    acceptance: Acceptance | None = None

    @property
    def device(self) -> Device | None:
        """The device that wrote the document, if any."""
        return self.writer.device if self.writer else None

    def keep_if_refused(self) -> None:
        """Store a dead letter for an unknown device's payload, or a device's rejected document."""
        refused = self.acceptance is not None and self.acceptance.outcome == "rejected"
        if self.writer is None:
            keep_dead_letter(self.door, self.sender, None, UNKNOWN, self.payload)
        elif self.device is not None and refused:
            assert self.acceptance is not None
            reason = self.acceptance.reason
            keep_dead_letter(self.door, self.sender, self.device, reason, self.payload)

    def note_sender(self) -> None:
        """Set the time at which the device was last seen to now."""
        if self.device is not None:
            self.device.touch()


def by_http(writer: Writer, document: Document) -> Delivery:
    """Return a delivery of a request's document, with the original text if it is unchanged."""
    text = document.text if isinstance(document, Received) else json.dumps(document)
    sender = str(writer.device.pk) if writer.device else ""
    return Delivery("http", sender, text.encode(), writer, document)


def receive(deliveries: Sequence[Delivery]) -> list[Acceptance | None]:
    """Store the documents; return each delivery's acceptance, or `None` for no answer.

    An unknown or revoked device gets no answer by MQTT, so that it keeps its data; by HTTP it gets
    a 401.
    """
    documents = [
        (each, each.writer, each.document)
        for each in deliveries
        if each.writer is not None and each.document is not None
    ]
    # Validate before the transaction: while it is open, SQLite blocks all other writers.
    read = read_many([(writer, document) for _, writer, document in documents])
    with transaction.atomic():
        for (each, *_), acceptance in zip(documents, store_many(read), strict=True):
            each.acceptance = acceptance
        _conclude(deliveries)
    return [each.acceptance for each in deliveries]


def receive_changes(
    delivery: Delivery, session_id: UUID, *, end: bool, whole: bool = False
) -> Acceptance:
    """Merge the delivered changes into the session's document. Raises the errors of `amend`."""
    assert delivery.writer is not None
    assert delivery.document is not None
    with transaction.atomic():
        acceptance = amend(delivery.writer, session_id, delivery.document, end=end, whole=whole)
        delivery.acceptance = acceptance
        _conclude([delivery])
    return acceptance


def refuse(delivery: Delivery, reason: str, errors: Any = None) -> Acceptance:
    """Reject a delivery that can never be stored, and keep it as a dead letter."""
    acceptance = delivery.acceptance = rejected(delivery.document, reason, errors)
    with transaction.atomic():
        _conclude([delivery])
    return acceptance


def _conclude(deliveries: Sequence[Delivery]) -> None:
    """Store dead letters, then update the devices, both in the order of the senders.

    Every consumer receives every status, so consumers that lock the same rows in different orders
    would deadlock.
    """
    in_order = sorted(deliveries, key=lambda each: each.sender)  # stable: keeps a sender's order
    for each in in_order:
        each.keep_if_refused()
    for each in in_order:
        each.note_sender()
