"""Receive session documents from HTTP and MQTT.

    validate -- one transaction: store, keep dead letters, update the device -- acknowledge

When `receive` returns, everything is committed; if it raises `django.db.Error`, nothing is. One
document that the database refuses, or that meets a bug, does not hold back the others: see
`receive_batch`.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import DataError, Error, IntegrityError, transaction

from server.common.logs import place_of
from server.common.parsing import Received, UnreadableError, parse_document
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

log = logging.getLogger(__name__)

NOT_STORABLE = "the database can't store this document"


@dataclass(slots=True)
class Delivery:
    """A payload as received, its writer, and its outcome.

    `sender` is the claimed device id. `writer` is `None` if there is no such device. `document` is
    `None` unless the payload was parsed before it is validated.
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

    def parse(self) -> None:
        """Read the document from the payload of a known writer, or reject it, unless it is done."""
        if self.writer is not None and self.document is None and self.acceptance is None:
            try:
                self.document = parse_document(self.payload)
            except UnreadableError as error:
                self.acceptance = rejected(None, str(error))

    def content(self) -> tuple[Writer, Document | bytes]:
        """Return the writer and the document, or the payload if it was not parsed."""
        assert self.writer is not None
        return self.writer, self.payload if self.document is None else self.document

    def is_document(self) -> bool:
        """Return whether this is a session document of a known device or person."""
        return self.writer is not None

    def note_sender(self) -> None:
        """Set the time at which the device was last seen to now."""
        if self.device is not None:
            self.device.touch()


def in_batch(writer: Writer, payload: bytes) -> Delivery:
    """Return a delivery of one of the documents of a request, not parsed yet."""
    return Delivery("http", _sender(writer), payload, writer)


def by_http(writer: Writer, document: Document) -> Delivery:
    """Return a delivery of a request's document, with the original text if it is unchanged."""
    text = document.text if isinstance(document, Received) else json.dumps(document)
    return Delivery("http", _sender(writer), text.encode(), writer, document)


def _sender(writer: Writer) -> str:
    return str(writer.device.pk) if writer.device else ""


def receive(deliveries: Sequence[Delivery]) -> list[Acceptance | None]:
    """Store the documents; return each delivery's acceptance, or `None` for no answer.

    An unknown or revoked device gets no answer by MQTT, so that it keeps its data; by HTTP it gets
    a 401.
    """
    waiting = [each for each in deliveries if each.is_document() and each.acceptance is None]
    # Validate before the transaction: while it is open, SQLite blocks all other writers.
    read = read_many([each.content() for each in waiting])
    try:
        with transaction.atomic():
            for each, acceptance in zip(waiting, store_many(read), strict=True):
                each.acceptance = acceptance
            _conclude(deliveries)
    except BaseException:
        for each in waiting:  # nothing was committed
            each.acceptance = None
        raise
    return [each.acceptance for each in deliveries]


def receive_batch(deliveries: Sequence[Delivery]) -> list[Acceptance | None]:
    """Store the documents as `receive` does, in one transaction.

    If that fails because of one of them, store each on its own. A document that the database
    refuses is rejected. One that meets a bug of this server gets no answer, so that its sender
    keeps it. Raises `django.db.Error` if the database is unavailable; in most cases nothing was
    stored, and all can be sent again in any case.
    """
    try:
        return receive(deliveries)
    except (DataError, IntegrityError) as error:
        if len(deliveries) == 1:
            log.error("the database refused a document: %s", type(error).__name__)
            (delivery,) = deliveries
            return [refuse(delivery, NOT_STORABLE) if delivery.is_document() else None]
    except Error:
        raise
    except Exception as error:
        if len(deliveries) == 1:
            log.error("unexpected error in a document: %s", place_of(error))
            return [None]
    for device in filter(None, (each.device for each in deliveries)):
        device.refresh_from_db(fields=["last_seen_at"])  # what was noted is rolled back
    return [answer for each in deliveries for answer in receive_batch([each])]


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
    delivery.parse()
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
