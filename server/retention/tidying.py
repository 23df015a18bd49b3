"""`blink-server tidy`: what nobody wants kept any longer goes, in bounded steps.

Sessions and refused documents beyond their person's time, alerts and notices that are long over,
codes and guesses that no longer count. Cheap when there is nothing to do: a timer may run it as
often as it likes.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils import timezone

from server.alerts.models import Alert, Delivery
from server.alerts.outbox import KEPT as NOTICES_KEPT
from server.care.audit import note
from server.care.models import AuditEvent, Person
from server.devices.models import DeadLetter
from server.monitoring.signs import note_sign
from server.retention.codes import tidy as tidy_care
from server.retention.deletion import BATCH, delete_batch
from server.retention.models import Retention
from server.session_data.models import SessionData

# In one run: a first one over years of sessions is spread over several.
MOST_SESSIONS = 10_000
ALERTS_KEPT = timedelta(days=365)

# Whose sessions are kept for how many days: people by their keys.
ByDays = dict[int, dict[int, Person]]


@dataclass(frozen=True)
class Tidied:
    """What was deleted. `more`: there is still some, for the next run."""

    sessions: int
    others: dict[str, int]
    more: bool


def tidy(now: datetime | None = None, most: int = MOST_SESSIONS) -> Tidied:
    """One run; the sessions that were deleted are in the audit log of whom they were about."""
    now = now or timezone.now()
    by_days = _people_by_days()
    sessions = tidy_sessions(now, most, by_days)
    over = Alert.objects.filter(resolved_at__lt=now - ALERTS_KEPT)
    sent = Delivery.objects.filter(sent_at__lt=now - NOTICES_KEPT)
    dropped = Delivery.objects.filter(dropped_at__lt=now - NOTICES_KEPT)
    others = {
        "refused documents": tidy_letters(now, by_days),
        "alerts": over.delete()[0],
        "notices": sent.delete()[0] + dropped.delete()[0],
        "log-ins": Session.objects.filter(expire_date__lt=now).delete()[0],
        **tidy_care(now),
    }
    note_sign("tidy")
    return Tidied(sessions, others, sessions >= most)


def tidy_sessions(now: datetime, most: int, by_days: ByDays) -> int:
    """Delete sessions older than their person wants them: by when they were measured, or, where
    that is not known, received. How many."""
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
    """Delete documents that were refused longer ago than their person wants sessions kept.

    Nobody's are kept as long as is usual here. How many.
    """
    whose = [(days, Q(person__in=people)) for days, people in by_days.items()]
    if settings.RETENTION_DAYS:
        whose.append((settings.RETENTION_DAYS, Q(person=None)))
    return sum(
        DeadLetter.objects.filter(each, received_at__lt=now - timedelta(days=days)).delete()[0]
        for days, each in whose
    )


def _people_by_days() -> ByDays:
    """Whose sessions are kept for how many days; who keeps them for ever is not among them."""
    chosen = {each.person_id: each.days for each in Retention.objects.all()}
    usual = settings.RETENTION_DAYS or None
    people = Person.objects.all() if usual else Person.objects.filter(pk__in=chosen)
    found: dict[int, dict[int, Person]] = defaultdict(dict)
    for person in people:
        days = chosen.get(person.pk, usual)
        if days is not None:
            found[days][person.pk] = person
    return found


def _delete(rows: list[tuple[int, UUID]], people: dict[int, Person], days: int) -> int:
    """A batch, person by person."""
    of_person: dict[int, list[UUID]] = defaultdict(list)
    for user, pk in rows:
        of_person[user].append(pk)
    for user, batch in of_person.items():
        deleted = delete_batch(batch, people[user])
        detail = f"{deleted.sessions} sessions older than {days} days"
        note(None, AuditEvent.DELETED, people[user], detail)
    return len(rows)


def days_kept(person: Person) -> int | None:
    """For how many days a person's sessions are kept; `None` is for ever."""
    own = Retention.objects.filter(person=person).first()
    return own.days if own else (settings.RETENTION_DAYS or None)
