"""Build complete documents for writers that don't send them.

They change part of a session, end one, or start one without a device. The result goes to
`accept.py`.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import ErrorDetail, ValidationError

from server.care.models import Person
from server.common.days import zone_of
from server.common.fields import instant_text
from server.common.parsing import MAX_DOCUMENT_BYTES, document_size
from server.common.problems import sentence, without_found
from server.session_data.accept import (
    Acceptance,
    Document,
    Writer,
    accept_many,
    owner_of,
    rejected,
)
from server.session_data.models import SessionData, State
from server.session_data.own import is_same, parts_of
from server.session_data.serializers import SCHEMA, expect_valid_changes


class FinalError(Exception):
    """The session is over, and the changes have no `revision`."""


def amend(
    writer: Writer,
    session_id: UUID,
    changes: Document,
    *,
    end: bool = False,
    whole: bool = False,
) -> Acceptance:
    """Merge `changes` into the newest document and store the result; `end` also ends the session.

    Objects are merged key by key. Every other value is replaced, also by null. Without a
    `revision`, the result gets the next one. Rejects a result above the maximum document size.
    A rejection tells nothing of the stored values: whoever may write may not read.

    A person may also send the forms of `own.py`. Their `revision` may be the stored one, which they
    have read: the result then gets the next one. If `whole`, objects are replaced instead of
    merged, and if `changes` has a `schema`, they are the complete document.

    Raises `FinalError` if the session is over and there is no `revision`, so that final numbers are
    not changed by accident. Raises `SessionData.DoesNotExist` if the writer has no such session.
    """
    with transaction.atomic():
        row = SessionData.objects.select_for_update().get(pk=session_id)
        if owner_of(row.user_id, row.device_id, row.from_device) != writer.owns:
            raise SessionData.DoesNotExist
        if "revision" not in changes and row.state != State.ACTIVE:
            raise FinalError
        try:
            parts = changes if writer.device else parts_of(changes, row)
        except ValidationError as error:
            return rejected(changes, sentence(error.detail), error.detail)
        stored = row.document
        document = _result(stored, parts, whole=whole)
        # Measured before anything is filled in, so that a session at the limit can still be ended.
        size = document_size(document)
        document.setdefault("revision", row.revision + 1)
        if end:
            document = _ended(document, writer)
        if refusal := _refusal(document, parts, size):
            return refusal
        if not writer.device and document["revision"] <= row.revision:
            if is_same(document, stored):
                return Acceptance(str(session_id), row.revision, "duplicate")
            document["revision"] += document["revision"] == row.revision
        accepted = accept_many([(writer, document)])[0]
        if "activity" in parts and not writer.device and accepted.outcome == "stored":
            # The person's newest word: it replaces what was chosen before.
            said = {"activity": parts["activity"], "activity_chosen": False}
            SessionData.objects.filter(pk=session_id).update(**said)
        return _without_values(accepted)


def _refusal(document: Document, parts: Document, size: int) -> Acceptance | None:
    """Return a rejection if the parts are invalid on their own, or the document is too large."""
    if document.get("schema") == SCHEMA:
        try:
            expect_valid_changes(parts)
        except ValidationError as error:
            return rejected(document, sentence(error.detail), error.detail)
    if size > MAX_DOCUMENT_BYTES:  # otherwise it could grow without limit by small changes
        text = f"expected at most {MAX_DOCUMENT_BYTES} bytes with these changes"
        return rejected(document, text, [ErrorDetail(text, "session_too_large")])
    return None


def _result(stored: dict[str, Any], changes: Document, *, whole: bool) -> dict[str, Any]:
    """Return the document after the changes, with their `revision` if they have one."""
    kept = {key: value for key, value in stored.items() if key != "revision"}
    if not whole:
        return _merged(kept, changes)
    return {**changes} if "schema" in changes else {**kept, **changes}


def _without_values(acceptance: Acceptance) -> Acceptance:
    """Return a rejection of a merged document without what was found in it."""
    if acceptance.outcome != "rejected":
        return acceptance
    reason, errors = without_found(acceptance.reason), without_found(acceptance.errors)
    return replace(acceptance, reason=reason, errors=errors)


def _merged(old: Document, changes: Document) -> dict[str, Any]:
    merged = dict(old)
    for key, value in changes.items():
        before = merged.get(key)
        # Columns belong together: with some stored ones, their length would be told.
        are_columns = key in ("blinks", "reminders")
        both = isinstance(value, Mapping) and isinstance(before, Mapping) and not are_columns
        merged[key] = {**before, **value} if both else value  # type: ignore[dict-item]
    sent = changes.get("metrics")
    if isinstance(sent, Mapping) and "blink_count" in sent and "partial_blink_count" not in sent:
        # The stored part is one of the former whole. If it stayed, a rejection would tell it.
        merged["metrics"] = {**merged["metrics"], "partial_blink_count": None}
    return merged


def _ended(document: dict[str, Any], writer: Writer) -> dict[str, Any]:
    """Return the document as ended, with missing values filled in."""
    if document.get("state") == State.ACTIVE:
        document["state"] = State.ENDED.value
    if document.get("ended_at") is None:
        document["ended_at"] = instant_text(timezone.now())
    if document.get("ended_by") is None and writer.device is None:
        document["ended_by"] = "command"
    return document


def first_document(person: Person, session_id: UUID, given: Document) -> dict[str, Any]:
    """Return the first document of a session that a person starts without a device.

    `given` may contain `started_at` (default: now, by the server's clock), `timezone` and
    `activity`.
    """
    zone = given.get("timezone") or person.timezone
    started_at = given.get("started_at") or timezone.now()
    offset = started_at.astimezone(zone_of(zone, None, "UTC")).utcoffset() or timedelta(0)
    activity = given.get("activity")
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
        **({"activity": activity} if activity else {}),
    }


def new_session_id() -> UUID:
    """Return a new UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits."""
    moment_ms = time.time_ns() // 1_000_000
    value = (moment_ms << 80) | secrets.randbits(80)
    value = (value & ~(0xF << 76)) | (0x7 << 76)  # version
    return UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62))  # variant
