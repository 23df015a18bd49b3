"""Logging in and out, for the audit log, at whichever door it happens."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver

from server.care.audit import note
from server.care.models import AuditEvent, Person


@receiver(user_logged_in)
def logged_in(user: Any, **_: Any) -> None:
    """In a browser; an app's token is noted where it is issued."""
    note(user, AuditEvent.LOGIN, user)


@receiver(user_logged_out)
def logged_out(user: Any, **_: Any) -> None:
    """`None` where nobody was logged in."""
    if isinstance(user, Person):
        note(user, AuditEvent.LOGOUT, user)
