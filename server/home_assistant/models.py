"""The devices shown in Home Assistant."""

from django.db import models
from django.utils.timezone import now


class Shown(models.Model):
    """A device that its person shows in Home Assistant; if not `wanted`, it must be removed there.

    Without foreign keys, because the row outlives its device and its person's account until the
    retained messages are removed from the broker.
    """

    device_id = models.UUIDField(primary_key=True)
    person_pk = models.BigIntegerField(help_text="Whose it was then: the next opts in anew")
    wanted = models.BooleanField(default=True)
    since = models.DateTimeField(default=now)

    class Meta:
        verbose_name = "shown device"

    def __str__(self) -> str:
        return str(self.device_id)
