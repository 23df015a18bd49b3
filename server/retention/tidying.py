"""`blink-server tidy`: delete expired data, in bounded steps.

It also computes each person's own limit for blink reminders (`server.reminding`).

It deletes sessions, notes and rejected documents past their person's retention time, old alerts and
notifications, old log entries and commands, and expired codes and failed logins. A run that finds
nothing to delete is cheap, so the timer may run it often.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from server.aiming.kept import forget
from server.alerts.delivery.outbox import KEPT as NOTICES_KEPT
from server.alerts.models import Acknowledgement, Alert, Delivery
from server.care.audit import note
from server.care.models import AccessLog, AuditEntry, AuditEvent, Person
from server.common.batches import batched
from server.devices.models import Command, CommandName, DeadLetter
from server.monitoring.signs import note_sign
from server.notes.deletion import MOST as MOST_NOTES
from server.notes.deletion import delete_older
from server.reminding.usual import compute_all
from server.retention.codes import tidy as tidy_care
from server.retention.deletion import BATCH, delete_batch, span_of
from server.retention.models import Retention
from server.session_data.changes.numbers import forget_deletions
from server.session_data.models import SessionData

# Per run, so that a first cleanup of years of sessions is spread over several runs.
MOST_SESSIONS = 10_000
MOST_ENTRIES = 10_000  # of each log
ALERTS_KEPT = timedelta(days=365)
COMMANDS_KEPT = timedelta(days=1)

# Retention time in days, and the people it applies to by their keys.
ByDays = dict[int, dict[int, Person]]


@dataclass(frozen=True)
class Tidied:
    """What was deleted. `more` means that the next run has more to delete."""

    sessions: int
    others: dict[str, int]
    more: bool


def tidy(now: datetime | None = None, most: int = MOST_SESSIONS) -> Tidied:
    """Run once. Deleted sessions are recorded in the audit log of the person concerned."""
    now = now or timezone.now()
    by_days = _people_by_days(now)
    sessions = tidy_sessions(now, most, by_days)
    over = Alert.objects.filter(resolved_at__lt=now - ALERTS_KEPT)
    looked_after = Acknowledgement.objects.filter(ended_at__lt=now - ALERTS_KEPT)
    sent = Delivery.objects.filter(sent_at__lt=now - NOTICES_KEPT)
    dropped = Delivery.objects.filter(dropped_at__lt=now - NOTICES_KEPT)
    others = {
        "rejected documents": tidy_letters(now, by_days),
        "notes": tidy_notes(now, by_days),
        "alerts": over.delete()[0] + looked_after.delete()[0],
        "log entries": tidy_logs(now),
        "commands": tidy_commands(now),
        "notifications": sent.delete()[0] + dropped.delete()[0],
        "camera views": forget(now),
        "deletion records": forget_deletions(now),
        "login sessions": Session.objects.filter(expire_date__lt=now).delete()[0],
        **tidy_care(now),
    }
    compute_all(now)
    note_sign("tidy")
    most_rows = max(others["log entries"], others["commands"])
    more = most_rows >= MOST_ENTRIES or others["notes"] >= MOST_NOTES
    return Tidied(sessions, others, sessions >= most or more)


def tidy_sessions(now: datetime, most: int, by_days: ByDays) -> int:
    """Delete sessions past their person's retention time and return how many.

    A session's age is counted from its measurement, or from its arrival if its date is uncertain.
    """
    done = 0
    for days, people in by_days.items():
        old = SessionData.objects.filter(
            user__in=people, placed_at__lt=now - timedelta(days=days)
        ).order_by("placed_at", "pk")
        while done < most:
            rows = list(old.values_list("user_id", "pk")[: min(BATCH, most - done)])
            if not rows:
                break
            done += _delete(rows, people, days)
    return done


def tidy_letters(now: datetime, by_days: ByDays) -> int:
    """Delete rejected documents past their person's retention time and return how many.

    For documents without a person, the setting `RETENTION_DAYS` applies.
    """
    whose = [(days, Q(person__in=people)) for days, people in by_days.items()]
    if settings.RETENTION_DAYS:
        whose.append((settings.RETENTION_DAYS, Q(person=None)))
    return sum(
        DeadLetter.objects.filter(each, received_at__lt=now - timedelta(days=days)).delete()[0]
        for days, each in whose
    )


def tidy_notes(now: datetime, by_days: ByDays) -> int:
    """Delete notes past their person's retention time and return how many."""
    return sum(
        delete_older(people.values(), now - timedelta(days=days))
        for days, people in by_days.items()
    )


def tidy_logs(now: datetime) -> int:
    """Delete old entries of the audit log and the access log and return how many."""
    if not settings.LOG_DAYS:
        return 0
    oldest = now - timedelta(days=settings.LOG_DAYS)
    return _delete_old(AuditEntry, oldest) + _delete_old(AccessLog, oldest)


def tidy_commands(now: datetime) -> int:
    """Delete old commands and return how many.

    Commands to aim and commands that could not be sent are deleted after a day, the others after
    `LOG_DAYS` days.
    """
    passing = Q(command=CommandName.AIM) | ~Q(problem="")
    old = passing & Q(asked_at__lt=now - COMMANDS_KEPT)
    if settings.LOG_DAYS:
        old |= Q(asked_at__lt=now - timedelta(days=settings.LOG_DAYS))
    # `old` implies `asked_at__lt`; naming it lets the database use the index.
    rows = Command.objects.filter(old, asked_at__lt=now - COMMANDS_KEPT).order_by("asked_at")
    found = list(rows.values_list("pk", flat=True)[:MOST_ENTRIES])
    return sum(Command.objects.filter(pk__in=some).delete()[0] for some in batched(found, BATCH))


def _delete_old(model: type[AuditEntry] | type[AccessLog], oldest: datetime) -> int:
    rows = model._default_manager.filter(last_at__lt=oldest).order_by("last_at")
    old = list(rows.values_list("pk", flat=True)[:MOST_ENTRIES])
    return sum(
        model._default_manager.filter(pk__in=some).delete()[0] for some in batched(old, BATCH)
    )


def _people_by_days(now: datetime) -> ByDays:
    """Return people by retention time, without those who keep their sessions forever."""
    chosen = {each.person_id: each.days_at(now) for each in Retention.objects.all()}
    usual = settings.RETENTION_DAYS or None
    people = Person.objects.all() if usual else Person.objects.filter(pk__in=chosen)
    found: dict[int, dict[int, Person]] = defaultdict(dict)
    for person in people:
        days = chosen.get(person.pk, usual)
        if days is not None:
            found[days][person.pk] = person
    return found


def _delete(rows: list[tuple[int, UUID]], people: dict[int, Person], days: int) -> int:
    """Delete one batch, person by person."""
    of_person: dict[int, list[UUID]] = defaultdict(list)
    for user, pk in rows:
        of_person[user].append(pk)
    for user, batch in of_person.items():
        with transaction.atomic():
            span = span_of(SessionData.objects.filter(pk__in=batch))
            deleted = delete_batch(batch, people[user])
            if deleted.sessions:  # else the person or the sessions were deleted meanwhile
                detail = f"{deleted.sessions} sessions older than {days} days, {span}"
                note(None, AuditEvent.DELETED, people[user], detail)
    return len(rows)


def days_kept(person: Person) -> int | None:
    """Return a person's retention time in days; `None` means forever."""
    own = Retention.objects.filter(person=person).first()
    return own.days_at(timezone.now()) if own else (settings.RETENTION_DAYS or None)
