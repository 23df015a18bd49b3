"""The audit log of actions on accounts, sharing, devices and data.

It never contains measurements or secrets.
"""

from django.db.models import Q, QuerySet

from server.care.models import AuditEntry, Institution, Person


def note(
    actor: Person | None,
    event: str,
    subject: Person | None = None,
    detail: str = "",
    *,
    institution: Institution | None = None,
) -> None:
    """Append an entry: `actor` did `event`, one of `AuditEvent`, to `subject`.

    An `actor` of `None` is an unknown person or the server itself. `institution` is set if the
    actor acted as its admin.
    """
    AuditEntry.objects.create(
        event=event,
        actor=actor,
        actor_name=actor.username if actor else "",
        subject=subject,
        subject_name=subject.username if subject else "",
        institution=institution,
        detail=detail.replace("\x00", "")[: AuditEntry.LONGEST_DETAIL],
    )


def entries_of(person: Person) -> QuerySet[AuditEntry]:
    """Return the entries whose actor or subject is the person, newest first."""
    return AuditEntry.objects.filter(Q(subject=person) | Q(actor=person))
