"""Sessions whose writer does not send whole documents: changes to one, its end, a person's first.

Each makes the next whole document and hands it to `accept.py`.
"""

import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from server.care.models import Person
from server.common.days import zone_of
from server.common.fields import instant_text
from server.common.parsing import MAX_DOCUMENT_BYTES, document_size
from server.session_data.accept import (
    Acceptance,
    Document,
    Writer,
    accept_many,
    owner_of,
    rejected,
)
from server.session_data.models import SessionData, State
from server.session_data.serializers import SCHEMA


class FinalError(Exception):
    """The session is over, and the change does not say that it is a newer revision."""


def amend(writer: Writer, session_id: UUID, changes: Document, *, end: bool = False) -> Acceptance:
    """Merge `changes` into the newest document and take the result; with `end`, as its last.

    The document's objects are merged key by key, all else is replaced; null is a value. Without a
    `revision` it is the next one, and `FinalError` if the session is over: its numbers are not
    changed by chance. Refused where the result is longer than a document may come. Raises
    `SessionData.DoesNotExist` where the writer has no such session.
    """
    with transaction.atomic():
        row = SessionData.objects.select_for_update().get(pk=session_id)
        if owner_of(row.user_id, row.device_id) != writer.owns:
            raise SessionData.DoesNotExist
        if "revision" not in changes and row.state != State.ACTIVE:
            raise FinalError
        kept = {key: value for key, value in row.document.items() if key != "revision"}
        document = _merged(kept, changes)
        # Before what is filled in here: a session at the limit can still be ended.
        size = document_size(document)
        document.setdefault("revision", row.revision + 1)
        if end:
            document = _ended(document, writer)
        if size > MAX_DOCUMENT_BYTES:  # else it would grow with every change, each small enough
            reason = f"expected at most {MAX_DOCUMENT_BYTES} bytes with these changes, found {size}"
            return rejected(document, reason)
        return accept_many([(writer, document)])[0]


def _merged(old: Document, changes: Document) -> dict[str, Any]:
    merged = dict(old)
    for key, value in changes.items():
        before = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[key] = {**before, **value} if both else value  # type: ignore[dict-item]
    return merged


def _ended(document: dict[str, Any], writer: Writer) -> dict[str, Any]:
    """The document of a session that is over; what it does not say of its end is filled in."""
    if document.get("state") == State.ACTIVE:
        document["state"] = State.ENDED.value
    if document.get("ended_at") is None:
        document["ended_at"] = instant_text(timezone.now())
    if document.get("ended_by") is None and writer.device is None:
        document["ended_by"] = "command"
    return document


def first_document(person: Person, session_id: UUID, wished: Document) -> dict[str, Any]:
    """Of a session that a person begins without a device, by the server's clock.

    `wished` may hold `started_at` and `timezone`.
    """
    zone = wished.get("timezone") or person.timezone
    started_at = wished.get("started_at") or timezone.now()
    offset = started_at.astimezone(zone_of(zone, None, "UTC")).utcoffset() or timedelta(0)
    return {
        "schema": SCHEMA,
        "session_id": str(session_id),
        "revision": 1,
        "state": State.ACTIVE.value,
        "started_at": instant_text(started_at),
        "ended_at": None,
        "ended_by": None,
        "clock": {
            "synchronized": True,
            "utc_offset_minutes": round(offset / timedelta(minutes=1)),
            "timezone": zone,
        },
        "metrics": {},
        "minutes": [],
    }


def new_session_id() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of milliseconds, then random ones."""
    moment_ms = time.time_ns() // 1_000_000
    value = (moment_ms << 80) | secrets.randbits(80)
    value = (value & ~(0xF << 76)) | (0x7 << 76)  # version
    return UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62))  # variant
