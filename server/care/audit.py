"""The audit log: what was done about accounts, sharing, devices and data, and by whom.

No measurement and no secret is ever written to it.
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
    """Append that `actor` (`None`: nobody we know, or the server itself) did `event`.

    `event` is one of `AuditEvent`. `institution`: in whose administration, if in one's.
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
    """What the person did, and what was done about them, newest first."""
    return AuditEntry.objects.filter(Q(subject=person) | Q(actor=person))
