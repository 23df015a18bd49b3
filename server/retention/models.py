"""The retention time of a person's sessions."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils.timezone import now

PERSON = settings.AUTH_USER_MODEL


class Retention(models.Model):
    """For how many days a person's sessions are kept; null means forever.

    Without a row, the setting `RETENTION_DAYS` applies. A shorter time waits: `next_days` replaces
    `days` at `next_from`, so that the person can still take it back.
    """

    LEAST = 7  # the dashboard's shortest view; offline devices need time to deliver
    MOST = 36500
    WAITS = timedelta(days=1)

    person = models.OneToOneField(PERSON, models.CASCADE, related_name="retention")
    days = models.PositiveIntegerField(null=True, blank=True)
    next_days = models.PositiveIntegerField(null=True, blank=True)
    next_from = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.person}: {self.days or 'forever'}"

    def days_at(self, moment: datetime) -> int | None:
        """Return the days that apply at a moment; `None` means forever."""
        return self.next_days if self.next_from and self.next_from <= moment else self.days
