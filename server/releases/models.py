"""What a device says of itself, and the release that somebody asked it to install."""

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from server.devices.models import Device


class UpdateState(models.TextChoices):
    """How far an update is. Devices report all but the first."""

    ASKED = "asked"
    WAITING = "waiting"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    INSTALLED = "installed"
    FAILED = "failed"
    WENT_BACK = "went_back"


OVER = frozenset({UpdateState.INSTALLED, UpdateState.FAILED, UpdateState.WENT_BACK})
# Until the device begins to install, the request can be withdrawn.
WITHDRAWABLE = frozenset({UpdateState.ASKED, UpdateState.WAITING, UpdateState.DOWNLOADING})


class Update(models.Model):
    """A device's software, and the update that was asked for last.

    `machine`, `python` and `key` (the fingerprint of the key that the device trusts) are what the
    device reported at `told_at`. `request` identifies what was asked for; it is null if nothing
    was. `person_pk` is the device's person at that time: the next one's device installs nothing
    that the former one asked for.
    """

    device = models.OneToOneField(Device, models.CASCADE, primary_key=True, related_name="update")
    told_at = models.DateTimeField(null=True)
    machine = models.CharField(max_length=32, blank=True)
    python = models.CharField(max_length=16, blank=True)
    key = models.CharField(max_length=22, blank=True)

    request = models.UUIDField(null=True)
    person_pk = models.BigIntegerField(null=True)
    version = models.CharField(max_length=32, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="updates_asked"
    )
    asked_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=12, choices=UpdateState.choices, blank=True)
    percent = models.PositiveSmallIntegerField(null=True)
    code = models.CharField(max_length=32, blank=True)
    problem = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField(default=now)

    class Meta:
        verbose_name = "update of a device"
        verbose_name_plural = "updates of devices"

    def __str__(self) -> str:
        return f"{self.device}: {self.version or 'no update'} {self.state}"
