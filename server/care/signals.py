"""Signal handlers that record log-ins and log-outs in the audit log."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver

from server.care.audit import note
from server.care.models import AuditEvent, Person


@receiver(user_logged_in)
def logged_in(user: Any, **_: Any) -> None:
    """Record a log-in in a browser. Issuing an API token is recorded separately."""
    note(user, AuditEvent.LOGIN, user)


@receiver(user_logged_out)
def logged_out(user: Any, **_: Any) -> None:
    """Record a log-out; `user` is `None` if nobody was logged in."""
    if isinstance(user, Person):
        note(user, AuditEvent.LOGOUT, user)
