"""Models of devices, their tokens, claim codes, commands, and rejected documents."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from server.care.institutions import may_manage
from server.common.codes import HashedCode, NotACodeError
from server.common.tokens import HashedToken

# Precise enough for "last seen", and coarse enough that not every checkpoint (every 10 s) needs a
# second write.
SEEN_RESOLUTION = timedelta(seconds=30)
# A connected device sends its status every five minutes, or ten while it waits for a retry.
HEARD_WITHIN = timedelta(minutes=15)
# A device that asks for commands over HTTP does so every two seconds, which is noted at most every
# `SEEN_RESOLUTION`. It counts as connected for this long, so that a slow request does not matter.
POLLED_WITHIN = timedelta(minutes=1)


class Device(models.Model):
    """A measuring device. Its id is also its MQTT user name.

    `last_seen_at` is by the server's clock. `online` is the last status from the broker, sent by
    the device or as its last will, and `polled_at` is when the device last asked for commands over
    HTTP; use `is_online` to tell whether it is online now. After a reassignment of `person`, past
    sessions still belong to the former person.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="devices")
    label = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    online = models.BooleanField(null=True, editable=False)
    status_at = models.DateTimeField(null=True, blank=True, editable=False)
    polled_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The device's connection to the broker that `online` is about, and the last one that ended.
    connection = models.CharField(max_length=32, blank=True, editable=False)
    ended_connection = models.CharField(max_length=32, blank=True, editable=False)
    agent_version = models.CharField(max_length=64, blank=True, editable=False)
    pending_sessions = models.PositiveIntegerField(null=True, blank=True, editable=False)
    # The activity of the newest start command, to offer it again.
    activity = models.CharField(max_length=16, blank=True, editable=False)

    reassigned_at = models.DateTimeField(null=True, blank=True, editable=False)
    # After a change of owner, until new credentials are issued. The broker may be unreachable then
    # and keep the device's account, so the server ignores the device by MQTT too.
    credentials_ended = models.BooleanField(default=False, editable=False)
    # When somebody other than its person last issued credentials. Whoever has them can read the
    # device's settings.
    others_credentials_at = models.DateTimeField(null=True, blank=True, editable=False)

    # REST framework needs these attributes of `request.user`.
    is_authenticated = True
    is_anonymous = False

    class Meta:
        ordering = ["label", "id"]

    def __str__(self) -> str:
        return self.label

    @property
    def is_online(self) -> bool | None:
        """Whether commands reach the device.

        `None` if it has neither sent a status nor asked for commands.

        A power cut that hits the broker too leaves no last will, and `online` would stay true
        forever. So a status is only valid for `HEARD_WITHIN`. It becomes invalid earlier if the
        device asks over HTTP after it. The device does so while it can't reach the broker, and once
        after connecting.
        """
        if self.polls:
            return True
        if self.online is None:
            return None if self.polled_at is None else False
        if self.polled_at and self.status_at and self.polled_at - self.status_at > POLLED_WITHIN:
            return False
        if not self.online or self.last_seen_at is None:
            return False
        return now() - self.last_seen_at < HEARD_WITHIN

    @property
    def polls(self) -> bool:
        """Whether the device asks for commands over HTTP at the moment."""
        return self.polled_at is not None and now() - self.polled_at < POLLED_WITHIN

    def person_at(self, moment: datetime) -> int | None:
        """Return the primary key of the person measured at that moment.

        Returns `None` if that account has been deleted.
        """
        if self.reassigned_at is None or moment >= self.reassigned_at:
            return self.person_id
        later = self.former_people.filter(until__gt=moment).order_by("until")
        return later.values_list("person_id", flat=True).first()

    def touch(self) -> None:
        """Set `last_seen_at` to now, at most twice a minute."""
        moment = now()
        if self.last_seen_at is None or moment - self.last_seen_at > SEEN_RESOLUTION:
            Device.objects.filter(pk=self.pk).update(last_seen_at=moment)
            self.last_seen_at = moment

    def note_poll(self) -> None:
        """Set `polled_at` and `last_seen_at` to now, at most twice a minute."""
        moment = now()
        if self.polled_at is None or moment - self.polled_at > SEEN_RESOLUTION:
            Device.objects.filter(pk=self.pk).update(polled_at=moment, last_seen_at=moment)
            self.polled_at = self.last_seen_at = moment


class FormerPerson(models.Model):
    """A former owner: sessions that `device` began before `until` belong to `person`.

    If that account has been deleted they belong to nobody, and never to the next person.
    """

    device = models.ForeignKey(Device, models.CASCADE, related_name="former_people")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="former_devices"
    )
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.device}: {self.person} until {self.until:%Y-%m-%d}"


class DeviceToken(HashedToken):
    """A device's API token. Two are valid at a time, so that one can be replaced without a gap."""

    KIND = "bld_"
    HOLDER = "device"
    FETCHED = "device__person"
    MOST_LIVE = 2

    device = models.ForeignKey(Device, models.CASCADE, related_name="tokens")


class ClaimCode(HashedCode):
    """A code that registers a device of `person` called `label`: see `claim.py`.

    `made_by` is `None` for the server's operator. A code ends when whoever made it may no longer
    make one, or with their account.
    """

    LIFE = timedelta(minutes=60)
    LONGEST_LIFE = timedelta(days=1)
    MOST_LIVE = 10  # per person: enough to set up several devices at once

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="claim_codes")
    label = models.CharField(max_length=64)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="claim_codes_made"
    )
    device = models.ForeignKey(Device, models.SET_NULL, null=True, related_name="claimed_by")

    def __str__(self) -> str:
        return f"code for {self.label}"

    def is_authorised(self) -> bool:
        """Return whether whoever made the code may still add devices for its person."""
        if not self.person.is_active:
            return False
        return self.made_by is None or may_manage(self.made_by, self.person)

    def use(self, **fields: Any) -> None:
        """Mark the code as used.

        Raises `NotACodeError` if it was used or its maker lost the right.
        """
        if not self.is_authorised():
            raise NotACodeError
        super().use(**fields)


class CommandName(models.TextChoices):
    """The commands that a device accepts."""

    START = "start"
    STOP = "stop"
    AIM = "aim"
    CHECK = "check"


# These begin a session, whose id they reserve for the device.
BEGINNING = (CommandName.START, CommandName.CHECK)


class Command(models.Model):
    """A command to a device to start or stop a session, to aim or to check the counting.

    Rows are kept as a record, as long as logs: see `server/retention/tidying.py`. `session_id` is
    the session to start or to stop, that of the check, or a new id for aiming, `person` the
    device's person at that time, and `problem` why the command could not be sent.
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
    # Of the session to start: one of session_data's `Activity`, or empty.
    activity = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ["-asked_at", "-id"]
        indexes = [
            models.Index(fields=["device", "-asked_at"], name="commands_of_a_device"),
            # Every new session is looked up here: a start reserves its id for one device.
            models.Index(fields=["session_id"], name="commands_of_a_session"),
            models.Index(fields=["asked_at"], name="commands_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.command} for {self.device}"


class DeadLetter(models.Model):
    """A rejected document and the reason. At most `MOST_KEPT` are kept per sender.

    `person` is the person that the document is about, even after the device is reassigned. It is
    null if the sender is not a known device or the account has been deleted.
    """

    MOST_KEPT = 50
    LONGEST_KEPT = 256 * 1024  # a two-hour session with 5,000 blinks is 150 KB
    LONGEST_PART = 4 * 1024  # kept of longer documents: enough to see what they were

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
        return f"{self.sender}, {self.received_at:%Y-%m-%d %H:%M:%S}"
