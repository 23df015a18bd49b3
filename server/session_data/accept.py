"""Store session documents; a higher revision replaces a lower one, anything else is a no-op.

This includes finished sessions: a device may correct a start date after the end. A session's
documents may arrive in any order, by any transport and any number of times: the stored row is
always the highest revision.

Only the first writer of a session can change it: a device while it is assigned to the person
measured, or a person without a device. Once the device is reassigned or deleted, nobody can.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Literal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ErrorDetail, ValidationError

from server.care.models import Person
from server.common.days import is_uncertain, local_day, zone_of
from server.common.fields import CANONICAL_UUID
from server.common.parsing import UnreadableError, document_text, parse_document
from server.common.problems import sentence
from server.devices.models import BEGINNING, Command, Device
from server.session_data.bulk.typed import usual
from server.session_data.bulk.writing import insert_sessions, update_sessions
from server.session_data.changes.numbers import next_changes
from server.session_data.models import METRICS, SessionData, State
from server.session_data.quotas import ROW_BYTES, Room, room_for
from server.session_data.serializers import expect_numbers, validated
from server.session_data.tombstones import DELETED, Owned, buried_among

# The session belongs to another writer. The text deliberately doesn't say to whom.
NOT_YOURS = "this session id can't be used"
# The session began before its device was reassigned: its present person's credentials can't write
# into the former person's history.
NOT_MEASURED = "this session began before the device was assigned to its present owner"

Document = Mapping[str, Any]
Owner = tuple[int, UUID | None]  # primary keys of the person measured and of the device
# A stored session's revision and owner; revision 0 for an id that is only reserved.
Kept = tuple[int, Owner | None]
# `deferred`: not stored because of a quota; the device keeps the document and sends it again.
Outcome = Literal["stored", "duplicate", "stale", "rejected", "deferred"]

NOBODYS: Kept = 0, None
# Maximum number of attempts. An insert fails if the same session is inserted concurrently; the next
# attempt then updates that row. Each further conflict needs another new session at the same moment.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The outcome of a document. `created`: the session is new. `errors`: why it is invalid."""

    session_id: str | None
    revision: int | None
    outcome: Outcome
    reason: str | None = None
    created: bool = False
    errors: Any = None

    def answer(self) -> dict[str, Any]:
        """Return the acknowledgement to send by HTTP or MQTT."""
        return {
            "session_id": self.session_id,
            "revision": self.revision,
            "outcome": self.outcome,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Writer:
    """The writer of a document: a device for its person, or a person for themselves."""

    person: Person
    device: Device | None = None

    @property
    def owns(self) -> Owner:
        """The owner of this writer's sessions: see `owner_of`."""
        return self.person.pk, self.device.pk if self.device else None


def owner_of(user_id: int, device_id: UUID | None, from_device: bool) -> Owner | None:
    """Return the owner of a stored session: only the owner may write it.

    Returns `None` if it was a device that has been deleted.
    """
    return None if from_device and device_id is None else (user_id, device_id)


@dataclass(slots=True)
class _Entry:
    """A valid document that is ready to be stored."""

    writer: Writer
    owner: Owner
    id: UUID
    revision: int
    zone: tzinfo
    columns: dict[str, Any] = field(repr=False)

    @property
    def owned(self) -> Owned:
        """The session's id with its writer's keys."""
        return self.id, *self.owner

    def is_measured(self) -> bool:
        """Return whether the device was the writer's when the session started.

        An uncertain date says nothing about that.
        """
        device = self.writer.device
        if device is None or self.columns["date_uncertain"]:
            return True
        return device.person_at(self.columns["started_at"]) == self.owner[0]

    def received(self, at: datetime) -> dict[str, Any]:
        """Return the columns of a session first received `at` that time.

        If its date is uncertain, it is placed on the day of its arrival.
        """
        if self.columns["date_uncertain"]:
            self.columns["local_day"] = at.astimezone(self.zone).date()
        return self.columns


def accept_session(device: Device, document: Document) -> Acceptance:
    """Store one document from `device`. The outcome is committed when this returns."""
    return accept_many([(Writer(device.person, device), document)])[0]


def accept_own(person: Person, document: Document) -> Acceptance:
    """Store one document of a session that `person` started without a device."""
    return accept_many([(Writer(person), document)])[0]


def accept_many(documents: Sequence[tuple[Writer, Document]]) -> list[Acceptance]:
    """Store documents in order, in one transaction; return an acceptance for each.

    Raises `DatabaseError`; then nothing was stored.
    """
    return store_many(read_many(documents))


def read_many(
    documents: Sequence[tuple[Writer, Document | bytes]],
) -> "list[_Entry | Acceptance]":
    """Validate documents; return an entry for each valid one and a rejection for each invalid one.

    A document that has not been parsed is read in one pass, if it is a usual one. Needs no
    database.
    """
    now = timezone.now()
    return [_read(writer, document, now) for writer, document in documents]


def store_many(read: "Sequence[_Entry | Acceptance]") -> list[Acceptance]:
    """Store the entries of `read_many` in one transaction; return an acceptance for each.

    Raises `DatabaseError`; then nothing was stored.
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
    """Return a rejection, with the document's session id and revision if they can be read."""
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


def _read(writer: Writer, received: Document | bytes, now: datetime) -> _Entry | Acceptance:
    if isinstance(received, bytes):
        if known := usual(received, from_device=writer.device is not None):
            return _entry(writer, known, received.decode(), now)
        try:
            received = parse_document(received)
        except UnreadableError as error:
            return rejected(None, str(error))
    return _read_slowly(writer, received, now)


def _read_slowly(writer: Writer, document: Document, now: datetime) -> _Entry | Acceptance:
    try:
        known = validated(document)
        if writer.device:
            expect_numbers(known)
        text = document_text(document)
    except ValidationError as error:
        return rejected(document, sentence(error.detail), error.detail)
    except UnreadableError as error:
        return rejected(document, str(error))
    return _entry(writer, known, text, now)


def _entry(writer: Writer, known: dict[str, Any], text: str, now: datetime) -> _Entry:
    zone = _zone(known, writer.person.timezone)
    columns = _columns(known, zone, now) | {"document_json": text, "document_bytes": len(text)}
    if writer.device and known.get("check"):
        columns["state"] = State.CHECK
    return _Entry(writer, writer.owns, known["session_id"], known["revision"], zone, columns)


def _zone(known: dict[str, Any], home_zone: str) -> tzinfo:
    clock = known.get("clock") or {}
    return zone_of(clock.get("timezone"), clock.get("utc_offset_minutes"), home_zone)


def _columns(known: dict[str, Any], zone: tzinfo, now: datetime) -> dict[str, Any]:
    """Return the row's columns except its id, its owner and its document."""
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
        "activity": known.get("activity"),
    }


def _store(entries: Sequence[_Entry], now: datetime) -> list[Acceptance]:
    """Apply the revision rule to each entry in order, then write each session's newest entry once.

    Rows are locked and inserted in the order of their ids, so that concurrent batches can't
    deadlock.
    """
    rows = SessionData.objects.select_for_update().filter(pk__in={entry.id for entry in entries})
    found = list(
        rows.order_by("pk").values_list(
            "pk", "revision", "received_at", "user_id", "device_id", "from_device", "document_bytes"
        )
    )
    kept: dict[UUID, Kept] = {
        pk: (revision, owner_of(user, device, from_device))
        for pk, revision, _, user, device, from_device, _ in found
    }
    known = {pk: received_at for pk, _, received_at, *_ in found}
    sizes = {pk: size + ROW_BYTES for pk, *_, size in found}
    reserved = _reserved({entry.id for entry in entries} - set(kept))
    strange = {each.owned for each in entries if kept.get(each.id, NOBODYS)[1] != each.owner}
    buried = buried_among(strange)
    room = room_for(*_keys(entries), now)
    newest: dict[UUID, _Entry] = {}
    answers: list[Acceptance] = []
    for entry in entries:
        if entry.owned in buried:  # "stale": the device need not send it again
            answers.append(Acceptance(str(entry.id), entry.revision, "stale", DELETED))
            continue
        answer = _outcome(entry, kept.get(entry.id) or reserved.get(entry.id))
        if answer.outcome == "stored" and (why := _no_room(room, entry, sizes)):
            answer = Acceptance(answer.session_id, answer.revision, "deferred", why)
        answers.append(answer)
        if answer.outcome == "stored":
            kept[entry.id] = (entry.revision, entry.owner)
            newest[entry.id] = entry
    _write(newest, known, now)
    return answers


def _reserved(sessions: Collection[UUID]) -> dict[UUID, Kept]:
    """Return those ids that a command to start or to check has given to a device."""
    if not sessions:
        return {}
    begun = Command.objects.filter(command__in=BEGINNING, session_id__in=sessions).order_by()
    rows = begun.values_list("session_id", "person_id", "device_id")
    return {session_id: (0, (person, device)) for session_id, person, device in rows}


def _keys(entries: Sequence[_Entry]) -> tuple[set[UUID], set[int]]:
    """Return the keys of the devices and people who wrote the entries."""
    owners = {entry.owner for entry in entries}
    return {device for _, device in owners if device}, {person for person, _ in owners}


def _no_room(room: Room, entry: _Entry, sizes: dict[UUID, int]) -> str | None:
    """Count the entry towards the quotas and return `None`, or return why it can't be stored.

    `sizes` are those of the stored sessions by id, with their rows; the entry's is added.
    """
    person, device = entry.owner
    size: int = entry.columns["document_bytes"] + ROW_BYTES
    why = room.take(size - sizes.get(entry.id, 0), device, person)
    if why is None:
        sizes[entry.id] = size
    return why


def _outcome(entry: _Entry, kept: Kept | None) -> Acceptance:
    session_id, revision = str(entry.id), entry.revision
    newest, owner = kept or (0, entry.owner)
    if owner != entry.owner:
        return Acceptance(session_id, revision, "rejected", NOT_YOURS)
    if newest == 0 and not entry.is_measured():
        errors = [ErrorDetail(NOT_MEASURED, "not_measured_for_you")]
        return Acceptance(session_id, revision, "rejected", NOT_MEASURED, errors=errors)
    if newest == 0:
        return Acceptance(session_id, revision, "stored", created=True)
    if revision > newest:
        return Acceptance(session_id, revision, "stored")
    if revision == newest:
        return Acceptance(session_id, revision, "duplicate")
    reason = f"revision {newest} is already stored"
    return Acceptance(session_id, revision, "stale", reason)


def _write(newest: Mapping[UUID, _Entry], known: Mapping[UUID, datetime], now: datetime) -> None:
    """Write the entries. `known`: id -> when the session was first received, for stored ones."""
    if not newest:
        return
    fresh, changed = [], []
    numbers = next_changes({entry.owner[0] for entry in newest.values()})
    for pk, entry in sorted(newest.items()):
        person, device = entry.owner
        entry.columns["change"] = numbers[person]
        if pk in known:
            changed.append({"id": pk, **entry.received(known[pk])})
        else:
            owner = {"user_id": person, "device_id": device, "from_device": device is not None}
            owner["activity_chosen"] = False
            fresh.append({"id": pk, "received_at": now, **owner, **entry.received(now)})
    update_sessions(changed)
    insert_sessions(fresh)
