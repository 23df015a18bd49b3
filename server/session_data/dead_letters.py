"""Dead letters: rejected documents, kept for inspection and for a retry."""

import re
from datetime import datetime
from uuid import UUID

from django.db import DataError, transaction
from django.utils import timezone

from server.care.models import Person
from server.common.days import is_uncertain
from server.common.fields import CANONICAL_UUID
from server.common.parsing import UnreadableError, parse_document
from server.devices.models import DeadLetter, Device
from server.session_data.accept import Acceptance, Writer, accept_many, rejected
from server.session_data.models import SessionData

UNKNOWN = "unknown or revoked device"
NO_ACCOUNT = "the account that this document belongs to has been deleted"
REPLACED = "\N{REPLACEMENT CHARACTER}"
# Regular expressions, because a rejected document may be invalid JSON or truncated.
NAMED = re.compile(rf'"session_id"\s*:\s*"({CANONICAL_UUID.pattern})"')
STARTED = re.compile(r'"started_at"\s*:\s*"([^"]{1,40})"')
CLOCK_SET = re.compile(r'"synchronized"\s*:\s*true\b')


def keep_dead_letter(
    door: str, sender: str, device: Device | None, reason: str | None, payload: bytes
) -> None:
    """Store a dead letter, and delete all but the sender's newest `DeadLetter.MOST_KEPT`.

    If the account of the person measured has been deleted, the payload is not stored. Nothing is
    stored of a device whose credentials have ended.
    """
    whole = len(payload) <= DeadLetter.LONGEST_KEPT
    kept = payload if whole else payload[: DeadLetter.LONGEST_PART]
    text = kept.decode("utf-8", "replace").replace("\x00", REPLACED)
    known = device or _claimed(sender)
    if device is None and known and known.credentials_ended:
        return  # a former owner's connection: it must not become the next one's by a retry
    person = _person_of(known, text, timezone.now()) if known else None
    DeadLetter.objects.create(
        device=device,
        person_id=person,
        sender=sender,
        door=door,
        reason=reason or "",
        size=len(payload),
        payload="" if known and person is None else text,
    )
    of_sender = DeadLetter.objects.filter(sender=sender)
    newest = list(of_sender.order_by("-id").values_list("id", flat=True)[: DeadLetter.MOST_KEPT])
    of_sender.filter(id__lt=newest[-1]).delete()


def session_named(text: str) -> UUID | None:
    """Return the session id in a rejected document's text, if it can be found."""
    found = NAMED.search(text)
    return UUID(found[1]) if found else None


def _claimed(sender: str) -> Device | None:
    """Return the device with the sender's id: it may be revoked, or added since."""
    if not CANONICAL_UUID.fullmatch(sender):
        return None
    return Device.objects.select_related("person").filter(pk=sender).first()


def _person_of(device: Device, text: str, now: datetime) -> int | None:
    """Return the primary key of the person a rejected document is about, as `accept` would.

    Returns `None` if that account has been deleted.
    """
    if named := session_named(text):
        kept = SessionData.objects.filter(pk=named, device=device).only("user_id").first()
        if kept is not None:
            return kept.user_id
    started_at = _started_at(text)
    is_set = CLOCK_SET.search(text) is not None
    if started_at is None or is_uncertain(started_at, None, is_set, now):
        return device.person_id
    return device.person_at(started_at)


def _started_at(text: str) -> datetime | None:
    found = STARTED.search(text)
    try:
        moment = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def retry(letter: DeadLetter) -> Acceptance:
    """Try to accept the document again. On success delete the letter, else update its reason.

    Useful after an upgrade, or once the device is no longer revoked. If the device sends the
    document again too, the revision rule makes that a no-op.
    """
    row = DeadLetter.objects.filter(pk=letter.pk)
    try:
        with transaction.atomic():
            acceptance = _accept(letter)
            if acceptance.outcome not in ("rejected", "deferred"):
                row.delete()
    except DataError:
        acceptance = rejected(None, "the database can't store this document")
    if acceptance.outcome == "rejected":
        row.update(reason=acceptance.reason or "")
    return acceptance


def _accept(letter: DeadLetter) -> Acceptance:
    device = letter.device or _claimed(letter.sender)
    if device is None or device.revoked_at:
        return rejected(None, UNKNOWN)
    # Whose credentials the device had then: the next person's can't write into the former's past.
    whose = device.person_at(letter.received_at)
    if whose is None:
        return rejected(None, NO_ACCOUNT)
    payload = letter.payload.encode()
    if len(payload) != letter.size or REPLACED in letter.payload:
        return rejected(None, "the document was not stored completely: too long, or not text")
    try:
        writer = Writer(Person.objects.get(pk=whose), device)
        return accept_many([(writer, parse_document(payload))])[0]
    except UnreadableError as error:
        return rejected(None, str(error))
