"""People's choices about reminders, and what each device was told."""

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from server.devices.models import Device

# Bounds of the blink rate below which a device reminds; devices accept no others.
LEAST_PER_MIN, MOST_PER_MIN = 1.0, 30.0


class Mode(models.TextChoices):
    """When the light asks for blinks: never, below a number, or below the person's usual rates."""

    OFF = "off"
    FIXED = "fixed"
    OWN = "own"


class Reminding(models.Model):
    """A person's choice. It holds for all devices that measure them.

    `below_per_min` is the number that was set, in blinks a minute. `own_per_min` is computed from
    the person's sessions (usual.py); it is null before, and if there are too few. `agreed_at` is
    when the person themselves last saved their choice.
    """

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="reminding"
    )
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.OFF)
    below_per_min = models.FloatField(null=True, blank=True)
    own_per_min = models.FloatField(null=True, blank=True, editable=False)
    computed_at = models.DateTimeField(null=True, blank=True, editable=False)
    changed_at = models.DateTimeField(default=now)
    agreed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "reminders of a person"
        verbose_name_plural = "reminders of people"

    def __str__(self) -> str:
        return f"{self.person}: {self.mode}"

    def bound_for(self, device: Device) -> float | None:
        """Return the blink rate below which the device's light asks for blinks; `None` for never.

        The person's own rate is a measurement. Whoever has issued the device's credentials could
        read it with them: it is told only if the person has saved their choice since.
        """
        if self.mode == Mode.FIXED:
            return self.below_per_min
        return self.own_per_min if self.mode == Mode.OWN and self.may_read(device) else None

    def may_read(self, device: Device) -> bool:
        """Return whether the device may be told the person's own rate."""
        others_at = device.others_credentials_at
        return others_at is None or (self.agreed_at is not None and self.agreed_at > others_at)


class DeviceSettings(models.Model):
    """What a device is told: `told`, about the person with the key `person_pk`.

    `version` grows with each change. `published` is the version that the broker has.
    """

    device = models.OneToOneField(
        Device, models.CASCADE, primary_key=True, related_name="told_settings"
    )
    person_pk = models.BigIntegerField()
    version = models.BigIntegerField()
    published = models.BigIntegerField(null=True)
    told = models.JSONField()

    class Meta:
        verbose_name = "settings of a device"
        verbose_name_plural = "settings of devices"

    def __str__(self) -> str:
        return f"{self.device}, version {self.version}"
