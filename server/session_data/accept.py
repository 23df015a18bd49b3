"""Store session documents; a higher revision replaces a lower one, anything else is a no-op.

This holds for finished sessions too: a device may correct a start date after the end. The order in
which the documents of a session arrive does not matter, nor by which door and how often: the row
ends as the highest revision.

A session belongs to its first writer: a device and the person it had then, or a person alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Literal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from server.care.models import Person
from server.common.days import is_uncertain, local_day, zone_of
from server.common.fields import CANONICAL_UUID
from server.common.parsing import UnreadableError, document_text
from server.common.problems import first_errors
from server.devices.models import Device
from server.session_data.models import METRICS, SessionData
from server.session_data.serializers import expect_numbers, validated
from server.session_data.tombstones import DELETED, buried_among

# No word of whose it is.
NOT_YOURS = "this session id can't be used"
# Of a device that was given away, when the account is gone that it was measured for.
NOBODYS = "this session was measured for an account that is gone"

Document = Mapping[str, Any]
Owner = tuple[int | None, UUID | None]  # a person's key, or a device's
Outcome = Literal["stored", "duplicate", "stale", "rejected"]

# An insert loses to the same insert through the other door; then its row is there to be updated. A
# second conflict needs a second new session at the same moment, a third a third.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What became of one document. `created`: its session is new. `errors`: of an invalid one."""

    session_id: str | None
    revision: int | None
    outcome: Outcome
    reason: str | None = None
    created: bool = False
    errors: Any = None

    def answer(self) -> dict[str, Any]:
        """As the sender gets it, by either door."""
        return {
            "session_id": self.session_id,
            "revision": self.revision,
            "outcome": self.outcome,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: a device for its person, or a person for themselves."""

    person: Person
    device: Device | None = None

    @property
    def owns(self) -> Owner:
        """What `owner_of` says of this writer's sessions."""
        return (None, self.device.pk) if self.device else (self.person.pk, None)


def owner_of(user_id: int, device_id: UUID | None) -> Owner:
    """Whose a kept session is to write."""
    return (None, device_id) if device_id else (user_id, None)


@dataclass(slots=True)
class _Entry:
    """One valid document on its way into the database."""

    writer: Writer
    id: UUID
    revision: int
    zone: tzinfo
    columns: dict[str, Any] = field(repr=False)

    def measured(self) -> int | None:
        """Return the primary key of the person measured; `None` if that account is gone.

        Sessions begun before a device was reassigned belong to the former person.
        """
        device = self.writer.device
        if device is None or self.columns["date_uncertain"]:
            return self.writer.person.pk
        return device.person_at(self.columns["started_at"])

    def received(self, at: datetime) -> dict[str, Any]:
        """Its columns, if it was first heard of `at` that time: an uncertain one is of that day."""
        if self.columns["date_uncertain"]:
            self.columns["local_day"] = at.astimezone(self.zone).date()
        return self.columns


def accept_session(device: Device, document: Document) -> Acceptance:
    """Take one document of `device`; when this returns, the outcome is committed."""
    return accept_many([(Writer(device.person, device), document)])[0]


def accept_own(person: Person, document: Document) -> Acceptance:
    """Take one document of a session that `person` began without a device."""
    return accept_many([(Writer(person), document)])[0]


def accept_many(documents: Sequence[tuple[Writer, Document]]) -> list[Acceptance]:
    """Take documents in their order, in one transaction; one answer for each.

    Raises `DatabaseError` when the database can't: then nothing was stored.
    """
    return store_many(read_many(documents))


def read_many(documents: Sequence[tuple[Writer, Document]]) -> "list[_Entry | Acceptance]":
    """Check documents, which takes most of the time and no database; a refusal for each bad one."""
    now = timezone.now()
    return [_read(writer, document, now) for writer, document in documents]


def store_many(read: "Sequence[_Entry | Acceptance]") -> list[Acceptance]:
    """What `read_many` let through, in one transaction; one answer for each.

    Raises `DatabaseError` when the database can't: then nothing was stored.
    """
    now = timezone.now()
    entries = [one for one in read if isinstance(one, _Entry)]
    for attempt in range(TRIES):
        try:
            with transaction.atomic():
                stored = iter(_store(entries, now))
            break
        except IntegrityError:
            if attempt == TRIES - 1:
                raise
    return [next(stored) if isinstance(one, _Entry) else one for one in read]


def rejected(document: object, reason: str, errors: Any = None) -> Acceptance:
    """A refusal, with as much of the document's name as can be read."""
    named = document if isinstance(document, Mapping) else {}
    session_id, revision = named.get("session_id"), named.get("revision")
    return Acceptance(
        session_id
        if isinstance(session_id, str) and CANONICAL_UUID.fullmatch(session_id)
        else None,
        revision if type(revision) is int else None,
        "rejected",
        reason,
        errors=errors,
    )


def _read(writer: Writer, document: Document, now: datetime) -> _Entry | Acceptance:
    try:
        known = validated(document)
        if writer.device:
            expect_numbers(known)
        text = document_text(document)
    except ValidationError as error:
        return rejected(document, "; ".join(first_errors(error.detail)), error.detail)
    except UnreadableError as error:
        return rejected(document, str(error))
    zone = _zone(known, writer.person.timezone)
    columns = _columns(known, zone, now) | {"document_json": text}
    return _Entry(writer, known["session_id"], known["revision"], zone, columns)


def _zone(known: dict[str, Any], home_zone: str) -> tzinfo:
    clock = known.get("clock") or {}
    return zone_of(clock.get("timezone"), clock.get("utc_offset_minutes"), home_zone)


def _columns(known: dict[str, Any], zone: tzinfo, now: datetime) -> dict[str, Any]:
    """The row's columns but for its id, its owner and its document."""
    clock, camera, metrics, agent = (
        known.get(name) or {} for name in ("clock", "camera", "metrics", "agent")
    )
    started_at, ended_at = known["started_at"], known.get("ended_at")
    synchronized = clock.get("synchronized")
    return {
        "schema": known["schema"],
        "revision": known["revision"],
        "state": known["state"],
        "started_at": started_at,
        "ended_at": ended_at,
        "ended_by": known.get("ended_by"),
        "timezone": clock.get("timezone") or "",
        "utc_offset_minutes": clock.get("utc_offset_minutes"),
        "clock_synchronized": synchronized,
        "date_uncertain": is_uncertain(started_at, ended_at, synchronized, now),
        "local_day": local_day(started_at, ended_at, zone),
        "updated_at": now,
        **{name: metrics.get(name) for name in METRICS},
        "camera_source": camera.get("source") or "",
        "fps": camera.get("fps"),
        "agent_version": agent.get("version") or "",
        "model": agent.get("model") or "",
    }


def _store(entries: Sequence[_Entry], now: datetime) -> list[Acceptance]:
    """Apply the rule to each entry in turn, then write each session's newest once.

    Rows are locked, and inserted, in the order of their ids, so that two batches never wait in a
    ring.
    """
    rows = SessionData.objects.select_for_update().filter(pk__in={entry.id for entry in entries})
    found = list(
        rows.order_by("pk").values_list("pk", "revision", "user_id", "device_id", "received_at")
    )
    kept = {pk: (revision, owner_of(user, device)) for pk, revision, user, device, _ in found}
    known = {pk: received_at for pk, *_, received_at in found}
    buried = buried_among({entry.id for entry in entries} - set(kept))
    newest: dict[UUID, _Entry] = {}
    answers = []
    for entry in entries:
        if entry.id in buried:  # its device keeps what it has, and need not send it again
            answers.append(Acceptance(str(entry.id), entry.revision, "stale", DELETED))
            continue
        answers.append(_judge(entry, kept.get(entry.id)))
        if answers[-1].outcome == "stored":
            kept[entry.id] = (entry.revision, entry.writer.owns)
            newest[entry.id] = entry
    _write(newest, known, now)
    return answers


def _judge(entry: _Entry, kept: tuple[int, Owner] | None) -> Acceptance:
    session_id, revision = str(entry.id), entry.revision
    if kept is None and entry.measured() is None:
        return Acceptance(session_id, revision, "rejected", NOBODYS)
    if kept is None:
        return Acceptance(session_id, revision, "stored", created=True)
    newest, owner = kept
    if owner != entry.writer.owns:
        return Acceptance(session_id, revision, "rejected", NOT_YOURS)
    if revision > newest:
        return Acceptance(session_id, revision, "stored")
    if revision == newest:
        return Acceptance(session_id, revision, "duplicate")
    reason = f"revision {newest} is kept already"
    return Acceptance(session_id, revision, "stale", reason)


def _write(newest: Mapping[UUID, _Entry], known: Mapping[UUID, datetime], now: datetime) -> None:
    """`known`: when those sessions that are kept already were first received."""
    fresh = []
    for pk, entry in sorted(newest.items()):
        if pk in known:
            SessionData.objects.filter(pk=pk).update(**entry.received(known[pk]))
        else:
            owner = {"user_id": entry.measured(), "device": entry.writer.device}
            fresh.append(SessionData(id=pk, received_at=now, **owner, **entry.received(now)))
    SessionData.objects.bulk_create(fresh)
