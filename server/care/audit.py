"""The audit log of actions on accounts, sharing, devices and data.

It never contains measurements or secrets. Nobody can bury an entry under others, or fill the disk:
a repeated action counts up its entry, and one person's entries of one kind are limited.
"""

from datetime import timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from server.care.models import AuditEntry, AuditEvent, Institution, Person

# The same action with the same detail within this time is one entry with a count.
ONE_ENTRY = timedelta(hours=1)
DAY = timedelta(days=1)
# Maximum number of entries in a day with the same actor, event and subject. Further ones are
# counted in one entry without details.
MOST_A_DAY = 20
# The same for changes of access, whose details matter more.
MOST_OF_ACCESS = 200
ACCESS = {
    AuditEvent.PASSWORD_CHANGED,
    AuditEvent.ADDRESS_CONFIRMED,
    AuditEvent.SECOND_FACTOR_ON,
    AuditEvent.SECOND_FACTOR_OFF,
    AuditEvent.LINK_ACCEPTED,
    AuditEvent.LINK_CHANGED,
    AuditEvent.LINK_ENDED,
    AuditEvent.ACCESS_GRANTED,
    AuditEvent.DEVICE_CLAIMED,
    AuditEvent.DEVICE_REASSIGNED,
    AuditEvent.ROLE_CHANGED,
    AuditEvent.ACCOUNT_CHANGED,
}
MORE = "and more"


def note(
    actor: Person | None,
    event: str,
    subject: Person | None = None,
    detail: str = "",
    *,
    institution: Institution | None = None,
    actor_name: str = "",
) -> None:
    """Append an entry: `actor` did `event`, one of `AuditEvent`, to `subject`.

    An `actor` of `None` is an unknown person or the server itself; or `actor_name`, whose own log
    must not have the entry. `institution` is set if the actor acted as its admin. Repetitions
    count up an existing entry instead.
    """
    who = {
        "event": event,
        "actor": actor,
        "actor_name": actor.username if actor else actor_name,
        "subject": subject,
        "subject_name": subject.username if subject else "",
        "institution": institution,
    }
    detail = detail.replace("\x00", "")[: AuditEntry.LONGEST_DETAIL]
    same = AuditEntry.objects.filter(**who)
    if _count_up(same.filter(detail=detail), ONE_ENTRY):
        return
    most = MOST_OF_ACCESS if event in ACCESS else MOST_A_DAY
    if same.filter(at__gt=timezone.now() - DAY).count() >= most:
        detail = MORE
        if _count_up(same.filter(detail=MORE), DAY):
            return
    AuditEntry.objects.create(**who, detail=detail)


def _count_up(same: QuerySet[AuditEntry], within: timedelta) -> bool:
    """Count up the newest of these entries. Returns False if none began `within` this time."""
    now = timezone.now()
    newest = same.filter(at__gt=now - within).values_list("pk", flat=True).first()
    rows = AuditEntry.objects.filter(pk=newest) if newest else AuditEntry.objects.none()
    return rows.update(count=F("count") + 1, last_at=now) == 1


def entries_of(person: Person) -> QuerySet[AuditEntry]:
    """Return the entries whose actor or subject is the person, newest first."""
    return AuditEntry.objects.filter(Q(subject=person) | Q(actor=person))
