"""Choose how long sessions are kept. A longer time applies at once, a shorter one after a day."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min
from django.utils import timezone

from server.care.audit import note
from server.care.models import AuditEvent, Person
from server.common.words import clock, day_name, long_day
from server.retention.models import Retention
from server.retention.tidying import days_kept
from server.session_data.models import SessionData


@dataclass(frozen=True)
class Coming:
    """A shorter retention time that does not apply yet, and the sessions that are too old for it.

    `at` says when it applies. The next `tidy` run after that deletes these sessions.
    """

    days: int
    at: str
    sessions: int
    first: str
    last: str


def is_shorter(days: int | None, kept: int | None) -> bool:
    """Return whether sessions are kept for less time than before; `None` is forever."""
    return days is not None and (kept is None or days < kept)


def choose(person: Person, days: int | None, now: datetime | None = None) -> None:
    """Save the retention time and record it in the audit log. A shorter one waits for a day."""
    now = now or timezone.now()
    kept = days_kept(person)
    waits = is_shorter(days, kept)
    Retention.objects.update_or_create(
        person=person,
        defaults={
            "days": kept if waits else days,
            "next_days": days if waits else None,
            "next_from": now + Retention.WAITS if waits else None,
            "changed_at": now,
        },
    )
    detail = f"{days} days" if days else "forever"
    if waits:
        detail += f", from {now + Retention.WAITS:%Y-%m-%d %H:%M} UTC"
    note(person, AuditEvent.RETENTION_CHANGED, person, detail)


def take_back(person: Person) -> bool:
    """Cancel a shorter time that does not apply yet, and return whether there was one."""
    waiting = _waiting(person, timezone.now())
    if waiting is None:
        return False
    Retention.objects.filter(pk=waiting.pk, next_from=waiting.next_from).update(
        next_days=None, next_from=None
    )
    detail = f"{waiting.next_days} days cancelled"
    note(person, AuditEvent.RETENTION_CHANGED, person, detail)
    return True


def coming(person: Person) -> Coming | None:
    """Return the shorter time that waits, if any."""
    waiting = _waiting(person, timezone.now())
    if waiting is None or waiting.next_days is None or waiting.next_from is None:
        return None
    return _coming(person, waiting.next_days, waiting.next_from)


def preview(person: Person, days: int) -> Coming:
    """Return what would be deleted if this time were chosen now."""
    return _coming(person, days, timezone.now() + Retention.WAITS)


def _waiting(person: Person, now: datetime) -> Retention | None:
    return Retention.objects.filter(person=person, next_from__gt=now).first()


def _coming(person: Person, days: int, at: datetime) -> Coming:
    old = SessionData.objects.filter(user=person, placed_at__lt=at - timedelta(days=days))
    found = old.aggregate(n=Count("pk"), first=Min("local_day"), last=Max("local_day"))
    zone = person.zone
    today = timezone.now().astimezone(zone).date()
    return Coming(
        days=days,
        at=f"{day_name(at.astimezone(zone).date(), today)}, {clock(at, zone)}",
        sessions=found["n"],
        first=long_day(found["first"]) if found["n"] else "",
        last=long_day(found["last"]) if found["n"] else "",
    )
