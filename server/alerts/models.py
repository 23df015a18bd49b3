"""Models for rules, alerts, their deliveries and the receivers' notification settings."""

import secrets
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.devices.models import Device

PERSON = settings.AUTH_USER_MODEL

EVERY_DAY = "1234567"


class Kind(models.TextChoices):
    """The condition that a rule checks."""

    DEVICE_SILENT = "device_silent", _("Device not connected")
    NO_SESSION = "no_session", _("No session by a time of day")
    LONG_CLOSURES = "long_closures", _("Long closures during a session")
    BLINK_RATE = "blink_rate", _("Blink rate outside the usual range")
    PERCLOS = "perclos", _("PERCLOS outside the usual range")
    # Of alerts only: sharing ended, and with it the receiver's rules about the person.
    RULES_ENDED = "rules_ended", _("Rules ended")


class Rule(models.Model):
    """Notify `receiver` when a condition holds for `person`, who may be the same person.

    Only the fields that the kind needs are set: `minutes` offline; `by`, a time of day in the
    person's zone, on `weekdays` (ISO digits, 1 is Monday); `closures`, a count in one session, or
    `closure_s`, one closure's duration in seconds; `spread`, by how much the rule's range is wider
    than the usual range.
    """

    MOST = 50  # per receiver

    receiver = models.ForeignKey(PERSON, models.CASCADE, related_name="alert_rules")
    person = models.ForeignKey(PERSON, models.CASCADE, related_name="watched_by")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    minutes = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(5), MaxValueValidator(14 * 24 * 60)]
    )
    by = models.TimeField(null=True, blank=True)
    weekdays = models.CharField(max_length=7, default=EVERY_DAY)
    closures = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    closure_s = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0.5), MaxValueValidator(60)]
    )
    spread = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(10)]
    )
    # While nobody looks after an open alert: remind `receiver` again after each `remind_minutes`,
    # and notify `escalate_to` after `escalate_minutes`.
    remind_minutes = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(5), MaxValueValidator(24 * 60)]
    )
    escalate_minutes = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(5), MaxValueValidator(24 * 60)]
    )
    escalate_to = models.ForeignKey(
        PERSON, models.SET_NULL, null=True, blank=True, related_name="alerts_passed_to"
    )
    created_at = models.DateTimeField(default=now, editable=False)
    changed_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["person__username", "kind", "id"]

    def __str__(self) -> str:
        return f"{self.receiver}: {self.kind} of {self.person}"


class Why(models.TextChoices):
    """Why an alert is over. The last two send no notification."""

    CLEARED = "cleared"  # the condition no longer holds
    DAY_OVER = "day_over"  # the day without a session has ended
    SESSION_OVER = "session_over"
    OLD = "old"  # a week without another comparable session
    WITHDRAWN = "withdrawn"  # the permission or the rule was withdrawn
    CHANGED = "changed"  # the rule was edited


class Alert(models.Model):
    """A condition that held from `opened_at` until `resolved_at`.

    `cause` identifies its subject (a device, a day, a session). Each rule has at most one open
    alert per cause. `measured` has the values for the text, so that each reader gets the text in
    their own language. `origin` is the alert of another receiver that was escalated or handed over
    to this one; both end together.
    """

    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, related_name="alerts")
    receiver = models.ForeignKey(
        PERSON, models.CASCADE, related_name="alerts", db_index=False, editable=False
    )
    person = models.ForeignKey(PERSON, models.CASCADE, related_name="alerts_about")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    cause = models.CharField(max_length=64)
    device = models.ForeignKey(Device, models.SET_NULL, null=True, related_name="alerts")
    session_id = models.UUIDField(null=True)
    measured = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=16, choices=Why.choices, blank=True)
    origin = models.ForeignKey(
        "self", models.CASCADE, null=True, related_name="passed_on", editable=False
    )
    snoozed_until = models.DateTimeField(null=True, editable=False)
    # Nobody looks after it since: the opening, the end of a snooze, or when it was given back.
    waiting_since = models.DateTimeField(default=now, editable=False)
    reminded_at = models.DateTimeField(null=True, editable=False)
    reminders = models.PositiveSmallIntegerField(default=0, editable=False)
    escalated_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "cause"],
                condition=models.Q(resolved_at=None),
                name="one_open_alert_per_cause",
            ),
            models.UniqueConstraint(
                fields=["origin", "receiver"], name="one_alert_per_origin_and_receiver"
            ),
        ]
        indexes = [
            models.Index(fields=["receiver", "-opened_at", "-id"], name="alerts_of_a_receiver"),
            models.Index(
                fields=["receiver"], condition=models.Q(resolved_at=None), name="open_alerts"
            ),
            models.Index(
                fields=["session_id"],
                condition=models.Q(session_id__isnull=False),
                name="alerts_of_a_session",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.person}"


class Acknowledgement(models.Model):
    """Somebody looks after a condition: `by` has acknowledged the alerts about it.

    It is shared: everybody with an alert of this person, kind and cause sees it, and gets no more
    reminders. It holds until `ended_at`: they gave it back, somebody else took over, or the last
    of the alerts was resolved. `asked` is the person to whom `by` wants to hand it over.
    """

    person = models.ForeignKey(PERSON, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    cause = models.CharField(max_length=64)
    by = models.ForeignKey(PERSON, models.CASCADE, related_name="alerts_looked_after")
    asked = models.ForeignKey(PERSON, models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["person", "kind", "cause"],
                condition=models.Q(ended_at=None),
                name="one_looks_after_it",
            )
        ]

    def __str__(self) -> str:
        return f"{self.by}: {self.kind} of {self.person}"


class Way(models.TextChoices):
    """A channel for notifications, in addition to the page."""

    EMAIL = "email", _("E-mail")
    WEBHOOK = "webhook", _("Webhook")
    NTFY = "ntfy", _("Push (ntfy)")
    APPRISE = "apprise", _("Other services (Apprise)")


class Notice(models.TextChoices):
    """The event that a delivery reports."""

    OPENED = "opened"
    RESOLVED = "resolved"
    REMINDER = "reminder"  # still open, and nobody looks after it
    ESCALATED = "escalated"  # to the next person: nobody looks after it
    ASKED = "asked"  # another receiver wants to hand it over
    TAKEN = "taken"  # somebody else looks after it


class Delivery(models.Model):
    """The outbox: one notification on one channel, written in the alert's transaction.

    It is done when `sent_at` or `dropped_at` is set. `claimed_until` is a lease: if a process dies
    while sending, the next pass sends again. `number` tells repeated notices apart. `acted_at` is
    when the link in the message was used.
    """

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries")
    notice = models.CharField(max_length=16, choices=Notice.choices)
    number = models.PositiveIntegerField(default=0)
    way = models.CharField(max_length=8, choices=Way.choices)
    created_at = models.DateTimeField(default=now)
    due_at = models.DateTimeField(default=now)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)
    acted_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "notice", "number", "way"],
                name="one_delivery_per_notice_and_way",
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(sent_at=None, dropped_at=None),
                name="deliveries_to_do",
            )
        ]

    def __str__(self) -> str:
        return f"{self.notice} by {self.way}"


def new_secret() -> str:
    """Return a new webhook signing key of 256 random bits."""
    return secrets.token_urlsafe(32)


class Receiver(models.Model):
    """A person's notification settings. Without a row, alerts appear only on the page.

    E-mail goes only to `confirmed_email`, whose owner has opened a link sent there. `quiet_from`
    and `quiet_until` are times of day in the receiver's time zone; if the first is later, the
    quiet hours span midnight.
    """

    person = models.OneToOneField(PERSON, models.CASCADE, related_name="told")
    by_email = models.BooleanField(default=False)
    email = models.EmailField(blank=True)
    confirmed_email = models.EmailField(blank=True, editable=False)
    webhook_url = models.CharField(max_length=500, blank=True)
    webhook_secret = models.CharField(max_length=64, default=new_secret, editable=False)
    ntfy_url = models.CharField(max_length=500, blank=True)
    ntfy_token = models.CharField(max_length=200, blank=True)
    apprise_url = models.CharField(max_length=500, blank=True)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Notifications of {self.person}"

    def ways(self) -> list[Way]:
        """Return the channels that can reach the person."""
        by_email = self.by_email and self.confirmed_email and self.confirmed_email == self.email
        found = {
            Way.EMAIL: bool(by_email),
            Way.WEBHOOK: bool(self.webhook_url),
            Way.NTFY: bool(self.ntfy_url),
            Way.APPRISE: bool(self.apprise_url),
        }
        return [way for way, reachable in found.items() if reachable]


class Pass(models.Model):
    """The time of the last pass. A single row, locked while a pass writes.

    `since` is when the passes began to run without a long pause: time in which the server was off
    says nothing about devices. `consuming_since` is the same for the MQTT consumer and devices
    that use the broker; `None` if the consumer never paused.
    """

    at = models.DateTimeField()
    since = models.DateTimeField()
    consuming_since = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "passes"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


Measured = dict[str, Any]
