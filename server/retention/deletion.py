"""Permanent deletion of sessions with all derived data, or of everything about a person.

It works in batches, each in its own transaction, so that no batch blocks other writers for long.
After an interruption, repeat the request. Tombstones stay behind, because devices send
unacknowledged sessions again.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Min, Q, QuerySet

from server.alerts.models import Acknowledgement, Alert
from server.care.audit import note
from server.care.models import AccessLog, AuditEvent, CareLink, Person, PersonToken
from server.common.days import zone_of
from server.devices.credentials import revoke
from server.devices.models import DeadLetter, Device
from server.notes.deletion import delete_with_sessions
from server.notes.models import Note
from server.session_data.changes.numbers import note_deletions
from server.session_data.dead_letters import session_named
from server.session_data.models import SessionData, State
from server.session_data.tombstones import bury

BATCH = 200


@dataclass(frozen=True)
class Scope:
    """A selection of a person's sessions: one, those of some local days, or all."""

    session_id: UUID | None = None
    first: date | None = None
    last: date | None = None

    def sessions(self, person: Person) -> QuerySet[SessionData]:
        """Return the person's selected sessions."""
        wanted = Q(user=person)
        if self.session_id is not None:
            wanted &= Q(pk=self.session_id)
        if self.first is not None:
            wanted &= Q(local_day__gte=self.first)
        if self.last is not None:
            wanted &= Q(local_day__lte=self.last)
        return SessionData.objects.filter(wanted)

    def __str__(self) -> str:
        if self.session_id is not None:
            return "one session"
        if self.first is None and self.last is None:
            return "all sessions"
        return f"sessions from {self.first or 'the first'} to {self.last or 'the last'}"


@dataclass(frozen=True)
class Amounts:
    """Numbers of stored or deleted items."""

    sessions: int = 0
    alerts: int = 0
    dead_letters: int = 0
    devices: int = 0
    links: int = 0
    tokens: int = 0
    looks: int = 0
    notes: int = 0


def amounts(person: Person) -> Amounts:
    """Count everything stored about a person."""
    return Amounts(
        sessions=SessionData.objects.filter(user=person).count(),
        alerts=Alert.objects.filter(Q(person=person) | Q(receiver=person)).count(),
        dead_letters=letters_of(person).count(),
        devices=person.devices.count(),
        links=CareLink.objects.filter(Q(person=person) | Q(caregiver=person)).count(),
        tokens=PersonToken.objects.filter(person=person).count(),
        looks=AccessLog.objects.filter(person=person).count(),
        notes=Note.objects.filter(person=person).count(),
    )


def delete_sessions(person: Person, scope: Scope, *, by: Person | None) -> Amounts:
    """Delete the selected sessions and record the amounts in the audit log."""
    chosen = scope.sessions(person)
    session = chosen.first() if scope.session_id else None
    when = f" of {moment_of(session):%Y-%m-%d %H:%M}" if session else ""
    done = sum_of(delete_from(chosen, person))
    detail = f"{scope}{when}: {done.sessions} sessions, {done.alerts} alerts"
    detail += f", {done.dead_letters} rejected documents, {done.notes} notes"
    note(by, AuditEvent.DELETED, person, detail)
    return done


def moment_of(session: SessionData) -> datetime:
    """Return the local time that the session's page shows."""
    zone = zone_of(session.timezone, session.utc_offset_minutes, session.user.timezone)
    placed_at: datetime = session.placed_at
    return placed_at.astimezone(zone)


def span_of(sessions: QuerySet[SessionData]) -> str:
    """Return the days of sessions for the log: `"of 2026-11-02"`, or from one day to another."""
    span = sessions.aggregate(first=Min("local_day"), last=Max("local_day"))
    first, last = span["first"], span["last"]
    return f"of {first}" if first == last else f"from {first} to {last}"


def delete_from(sessions: QuerySet[SessionData], person: Person) -> Iterator[Amounts]:
    """Delete these sessions of one person in batches; yield the amounts of each batch."""
    while batch := list(sessions.order_by("placed_at", "pk").values_list("pk", flat=True)[:BATCH]):
        yield delete_batch(batch, person)


def delete_batch(batch: Collection[UUID], person: Person) -> Amounts:
    """Delete these sessions and all data derived from them, in one transaction."""
    with transaction.atomic():
        doomed = SessionData.objects.filter(pk__in=batch)
        locked = doomed.select_for_update().order_by("pk")
        found = list(locked.values_list("pk", "user_id", "device_id", "state"))
        owned = [(pk, user, device) for pk, user, device, _ in found]
        note_deletions(owned, {pk for pk, *_, state in found if state == State.ACTIVE})
        bury(owned)
        alerts, _ = Alert.objects.filter(session_id__in=batch).delete()
        Acknowledgement.objects.filter(person=person, cause__in=map(str, batch)).delete()
        letters = _delete_letters(person, set(batch))
        notes = delete_with_sessions(batch)
        AccessLog.objects.filter(session_id__in=batch).update(session_id=None)
        sessions, _ = doomed.delete()
    return Amounts(sessions=sessions, alerts=alerts, dead_letters=letters, notes=notes)


def delete_account(person: Person, by: Person | None) -> Amounts:
    """Delete a person and everything about them. The audit log keeps a record.

    `by` is that person, or `None` for an operator on the command line. The devices are revoked
    first. Raises `BrokerError` if the broker can't be reached: then nothing was deleted, but some
    devices may already be revoked.
    """
    there = amounts(person)
    for device in Device.objects.filter(person=person):
        revoke(device)
    for _batch in delete_from(SessionData.objects.filter(user=person), person):
        pass
    with transaction.atomic():
        letters_of(person).delete()
        detail = f"an account: {there.sessions} sessions, {there.devices} devices"
        note(by, AuditEvent.DELETED, person, f"{detail}, {there.links} links")
        person.delete()
    return there


def sum_of(parts: Iterator[Amounts]) -> Amounts:
    """Return the total of all batches."""
    sessions = alerts = letters = notes = 0
    for part in parts:
        sessions += part.sessions
        alerts += part.alerts
        letters += part.dead_letters
        notes += part.notes
    return Amounts(sessions=sessions, alerts=alerts, dead_letters=letters, notes=notes)


def letters_of(person: Person) -> QuerySet[DeadLetter]:
    """Return the rejected documents about the person, even if the device has a new owner."""
    return DeadLetter.objects.filter(person=person)


def _delete_letters(person: Person, sessions: Collection[UUID]) -> int:
    """Delete rejected documents about these sessions, and return how many.

    Reads all rejected documents of the person: at most `DeadLetter.MOST_KEPT` of each sender.
    """
    about = [
        pk
        for pk, payload in letters_of(person).values_list("pk", "payload")
        if session_named(payload) in sessions
    ]
    return DeadLetter.objects.filter(pk__in=about).delete()[0]
