"""The newest view of each device that is being aimed."""

from django.db import models
from django.utils.timezone import now

from server.devices.models import Device


class Aimed(models.Model):
    """What a device said last while it was aimed. `told` is a view that `kept` has checked.

    `person_pk` is the device's person at that time: the next one does not see it.
    """

    device = models.OneToOneField(Device, models.CASCADE, primary_key=True, related_name="aimed")
    person_pk = models.BigIntegerField()
    at = models.DateTimeField(default=now)
    told = models.JSONField()

    class Meta:
        verbose_name = "view while aiming"
        verbose_name_plural = "views while aiming"

    def __str__(self) -> str:
        return f"{self.device}, {self.at}"
