"""How long a person's sessions are kept, what was deleted, and signs of life of the processes."""

import uuid

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


class Tombstone(models.Model):
    """A session that was deleted: its id and nothing else.

    A device that sends it again is answered `stale`, and nothing is stored. Ids are random, so this
    says nothing about anybody.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return str(self.id)


class Tally(models.Model):
    """How many documents came in by MQTT, by what became of them, since the beginning."""

    outcome = models.CharField(max_length=16, primary_key=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"{self.outcome}: {self.count}"


class Sign(models.Model):
    """The last sign of life of a part of the server: a consumer, the timers' commands."""

    name = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.at:%Y-%m-%d %H:%M:%S}"
