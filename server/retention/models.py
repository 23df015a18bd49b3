"""How long a person's sessions are kept."""

from django.conf import settings
from django.db import models
from django.utils.timezone import now

PERSON = settings.AUTH_USER_MODEL


class Retention(models.Model):
    """For how many days a person's sessions are kept; null is for ever.

    Without a row the setting `RETENTION_DAYS` holds.
    """

    LEAST = 7  # the dashboard's shortest view; what waits on a device offline must have time

    person = models.OneToOneField(PERSON, models.CASCADE, related_name="retention")
    days = models.PositiveIntegerField(null=True, blank=True)
    changed_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.person}: {self.days or 'for ever'}"
