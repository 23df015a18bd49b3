"""Devices, their tokens, what they last said of themselves, and their refused documents."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from server.common.codes import HashedCode
from server.common.tokens import HashedToken

# Fine enough for "last seen", rare enough that a checkpoint every 10 s is not two writes.
SEEN_RESOLUTION = timedelta(seconds=30)
# A device that is connected says so every five minutes, ten where it waits for its next try.
HEARD_WITHIN = timedelta(minutes=15)


class Device(models.Model):
    """A box on somebody's wall. Its id is its MQTT user name too.

    `last_seen_at` is by the server's clock; `online` is what the broker last said, by the device's
    own word or its last will: whether it is there says `is_online`. Reassigning `person` leaves
    past sessions with whom they were measured from.
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

    reassigned_at = models.DateTimeField(null=True, blank=True, editable=False)

    # REST framework asks these of whoever made a request.
    is_authenticated = True
    is_anonymous = False

    class Meta:
        ordering = ["label", "id"]

    def __str__(self) -> str:
        return self.label

    @property
    def is_online(self) -> bool | None:
        """Whether it is connected to the broker; `None` where it never said.

        A power cut that takes the broker with it leaves no last will, and `online` true for ever:
        so a device has to say it again and again.
        """
        if not self.online:
            return self.online
        return self.last_seen_at is not None and now() - self.last_seen_at < HEARD_WITHIN

    def person_at(self, moment: datetime) -> int | None:
        """The key of whom it measured then; `None` where that account is gone."""
        if self.reassigned_at is None or moment >= self.reassigned_at:
            return self.person_id
        later = self.former_people.filter(until__gt=moment).order_by("until")
        return later.values_list("person_id", flat=True).first()

    def touch(self) -> None:
        """Note that it was heard of just now, at most twice a minute."""
        moment = now()
        if self.last_seen_at is None or moment - self.last_seen_at > SEEN_RESOLUTION:
            Device.objects.filter(pk=self.pk).update(last_seen_at=moment)
            self.last_seen_at = moment


class FormerPerson(models.Model):
    """`device` measured `person` until then: what it still brings from before is that person's.

    Where the account is gone it is nobody's, and never the next one's.
    """

    device = models.ForeignKey(Device, models.CASCADE, related_name="former_people")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="former_devices"
    )
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.device}: {self.person} until {self.until:%Y-%m-%d}"


class DeviceToken(HashedToken):
    """Opens the API for a device. Two live at once, so that one can be replaced without a gap."""

    KIND = "bld_"
    HOLDER = "device"
    FETCHED = "device__person"
    MOST_LIVE = 2

    device = models.ForeignKey(Device, models.CASCADE, related_name="tokens")


class ClaimCode(HashedCode):
    """Makes whoever types it a device of `person`, called `label`: see `claim.py`."""

    MOST_LIVE = 10  # of one person's at once: one for each box that is being unpacked

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="claim_codes")
    label = models.CharField(max_length=64)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="claim_codes_made"
    )
    device = models.ForeignKey(Device, models.SET_NULL, null=True, related_name="claimed_by")

    def __str__(self) -> str:
        return f"code for {self.label}"


class CommandName(models.TextChoices):
    """What a device can be asked to do."""

    START = "start"
    STOP = "stop"


class Command(models.Model):
    """Somebody asked a device to start a session, or to stop one. A row stays as the record of it.

    `session_id`: the one to appear, or to end. `person`: whose device it was then. `problem`: why
    the device could not be told.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(
        Device, models.CASCADE, related_name="commands", db_index=False, editable=False
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="commanded", editable=False
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="commands_given"
    )
    asked_by_name = models.CharField(max_length=150, help_text="Kept when the account is deleted")
    command = models.CharField(max_length=8, choices=CommandName.choices)
    session_id = models.UUIDField()
    asked_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-asked_at", "-id"]
        indexes = [models.Index(fields=["device", "-asked_at"], name="commands_of_a_device")]

    def __str__(self) -> str:
        return f"{self.command} for {self.device}"


class DeadLetter(models.Model):
    """A document that could not be accepted, and why. At most `MOST_KEPT` for one sender.

    `person`: whom it is about, which stays so when the device is given away; null where its sender
    is no device we know, or that account is gone.
    """

    MOST_KEPT = 50
    LONGEST_KEPT = 256 * 1024  # a two-hour session with 5,000 blinks is 150 KB
    LONGEST_PART = 4 * 1024  # of what is longer: enough to see what it was

    device = models.ForeignKey(
        Device, models.SET_NULL, null=True, blank=True, related_name="dead_letters"
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="dead_letters",
    )
    sender = models.CharField(max_length=64, help_text="The device's id, as claimed")
    door = models.CharField(max_length=8, choices=[("http", "HTTP"), ("mqtt", "MQTT")])
    received_at = models.DateTimeField(default=now)
    reason = models.TextField()
    size = models.PositiveIntegerField(help_text="Of the whole payload, in bytes")
    payload = models.TextField(help_text="Its beginning only, where it was too long to keep")

    class Meta:
        app_label = "session_data"  # the table is older than this room
        ordering = ["-received_at", "-id"]
        indexes = [models.Index(fields=["sender", "-id"], name="dead_letters_of_a_sender")]

    def __str__(self) -> str:
        return f"{self.sender}: {self.reason[:60]}"
