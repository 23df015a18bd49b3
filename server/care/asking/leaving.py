"""End the open requests for access of who leaves an institution."""

from django.utils import timezone

from server.care.audit import note
from server.care.models import OPEN, AccessRequest, AuditEvent, Person


def note_withdrawn(request: AccessRequest) -> None:
    """Record in the log of the person asked that they need not answer any more.

    The entry has the asker's name but not the asker: it would tell them in their own log that the
    name exists.
    """
    if request.person is not None:
        name = request.asker.username
        note(None, AuditEvent.ACCESS_WITHDRAWN, request.person, actor_name=name)


def end_requests(person: Person) -> None:
    """Withdraw what `person`, who has left, has asked; what they were asked reaches nobody.

    Whoever asked them can't see that they have left.
    """
    still_open = AccessRequest.objects.filter(OPEN, expires_at__gt=timezone.now())
    asked = still_open.filter(asker=person).select_related("asker", "person")
    for request in list(asked):
        note_withdrawn(request)
    AccessRequest.objects.filter(asker=person, withdrawn_at=None, granted_at=None).update(
        withdrawn_at=timezone.now()
    )
    still_open.filter(person=person).update(person=None)
