"""The newest view of each device that is being aimed."""

from django.db import models
from django.utils.timezone import now

from server.devices.models import Device


class Aimed(models.Model):
    """The newest view that a device sent while it was aimed. `told` was checked by `kept`.

    `person_pk` is the device's person at that time. A later person does not see the view.
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
