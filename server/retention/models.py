"""The retention time of a person's sessions."""

from django.conf import settings
from django.db import models
from django.utils.timezone import now

PERSON = settings.AUTH_USER_MODEL


class Retention(models.Model):
    """For how many days a person's sessions are kept; null means forever.

    Without a row, the setting `RETENTION_DAYS` applies.
    """

    LEAST = 7  # the dashboard's shortest view; offline devices need time to deliver

    person = models.OneToOneField(PERSON, models.CASCADE, related_name="retention")
    days = models.PositiveIntegerField(null=True, blank=True)
    changed_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.person}: {self.days or 'forever'}"
