"""Devices, their tokens, and what they last said of themselves."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from server.tokens import HashedToken

# Fine enough for "last seen", rare enough that a checkpoint every 10 s is not two writes.
SEEN_RESOLUTION = timedelta(seconds=30)


class Device(models.Model):
    """A box on somebody's wall. Its id is its MQTT user name too.

    `last_seen_at` is by the server's clock; `online` is what the broker last said, by the device's
    own word or its last will. Reassigning `person` leaves past sessions with whom they were
    measured from.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="devices")
    label = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    online = models.BooleanField(null=True, editable=False)
    status_at = models.DateTimeField(null=True, blank=True, editable=False)
    agent_version = models.CharField(max_length=64, blank=True, editable=False)
    pending_sessions = models.PositiveIntegerField(null=True, blank=True, editable=False)

    # REST framework asks these of whoever made a request.
    is_authenticated = True
    is_anonymous = False

    class Meta:
        ordering = ["label", "id"]

    def __str__(self) -> str:
        return self.label

    def touch(self) -> None:
        """Note that it was heard of just now, at most twice a minute."""
        moment = now()
        if self.last_seen_at is None or moment - self.last_seen_at > SEEN_RESOLUTION:
            Device.objects.filter(pk=self.pk).update(last_seen_at=moment)
            self.last_seen_at = moment


class DeviceToken(HashedToken):
    """Opens the API for a device. Two live at once, so that one can be replaced without a gap."""

    KIND = "bld_"
    HOLDER = "device"
    FETCHED = "device__person"
    MOST_LIVE = 2

    device = models.ForeignKey(Device, models.CASCADE, related_name="tokens")
