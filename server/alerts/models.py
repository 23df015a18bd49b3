"""Rules, alerts, what is to be delivered of them, and how each receiver wants to be told."""

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
    """What a rule watches for."""

    DEVICE_SILENT = "device_silent", _("A device is silent")
    NO_SESSION = "no_session", _("No session by a time of day")
    LONG_CLOSURES = "long_closures", _("Long closures in a session under way")
    BLINK_RATE = "blink_rate", _("Blink rate outside the usual range")
    PERCLOS = "perclos", _("PERCLOS outside the usual range")


class Rule(models.Model):
    """`receiver` wants to be told when something holds for `person`, who may be the same.

    Only what its kind needs is set: `minutes` of silence; `by`, a time of day in the person's zone,
    on `weekdays` (ISO digits, 1 is Monday); `closures`, a count in one session, or `closure_s`, one
    closure's length in seconds; `spread`, how many interquartile ranges from the median are usual.
    """

    MOST = 50  # of one receiver

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
    created_at = models.DateTimeField(default=now, editable=False)
    changed_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["person__username", "kind", "id"]

    def __str__(self) -> str:
        return f"{self.receiver}: {self.kind} of {self.person}"


class Why(models.TextChoices):
    """Why an alert is over. Nobody is told of the last two."""

    CLEARED = "cleared"  # what it was about holds no more
    DAY_OVER = "day_over"  # of a day without a session: it will not get one any more
    SESSION_OVER = "session_over"
    OLD = "old"  # a week without another measurement to compare
    WITHDRAWN = "withdrawn"  # the permission was, or the rule
    CHANGED = "changed"  # the rule asks for something else now


class Alert(models.Model):
    """Something that a rule watched for, from `opened_at` until `resolved_at`.

    `cause` tells what it is about (a device, a day, a session): one alert is open for one cause of
    one rule. `measured` has the numbers that the text is made of, so that each reader gets it in
    their own language.
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

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "cause"],
                condition=models.Q(resolved_at=None),
                name="one_open_alert_per_cause",
            )
        ]
        indexes = [
            models.Index(fields=["receiver", "-opened_at", "-id"], name="alerts_of_a_receiver"),
            models.Index(
                fields=["receiver"], condition=models.Q(resolved_at=None), name="open_alerts"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.person}"


class Way(models.TextChoices):
    """How a notice reaches its receiver, beside the page."""

    EMAIL = "email", _("E-mail")
    WEBHOOK = "webhook", _("Webhook")


class Notice(models.TextChoices):
    """What a delivery says."""

    OPENED = "opened"
    RESOLVED = "resolved"


class Delivery(models.Model):
    """The outbox: one notice by one way, written in the transaction that made its alert.

    It is done when `sent_at` or `dropped_at` is set. `claimed_until` is a lease: a process that
    dies while it sends leaves it to the next pass, which sends again.
    """

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries")
    notice = models.CharField(max_length=8, choices=Notice.choices)
    way = models.CharField(max_length=8, choices=Way.choices)
    created_at = models.DateTimeField(default=now)
    due_at = models.DateTimeField(default=now)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "notice", "way"], name="one_delivery_per_notice_and_way"
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
    """What a webhook's signature is made with: 256 random bits."""
    return secrets.token_urlsafe(32)


class Receiver(models.Model):
    """How a person wants to be told. Without a row: on the page alone.

    Mail goes to `confirmed_email` and nowhere else: its owner has opened a link that went there.
    `quiet_from` to `quiet_until` are times of day in the receiver's own zone, over midnight where
    the first is the later one.
    """

    person = models.OneToOneField(PERSON, models.CASCADE, related_name="told")
    by_email = models.BooleanField(default=False)
    email = models.EmailField(blank=True)
    confirmed_email = models.EmailField(blank=True, editable=False)
    webhook_url = models.CharField(max_length=500, blank=True)
    webhook_secret = models.CharField(max_length=64, default=new_secret, editable=False)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"How {self.person} is told"

    def ways(self) -> list[Way]:
        """By which ways something can reach them."""
        by_email = self.by_email and self.confirmed_email and self.confirmed_email == self.email
        found = {Way.EMAIL: bool(by_email), Way.WEBHOOK: bool(self.webhook_url)}
        return [way for way, reachable in found.items() if reachable]


class UsualRange(models.Model):
    """What was usual for a person on `day`, from the four weeks before it: kept for that day.

    `median` and `spread`, the interquartile range, are null where there was too little to say.
    """

    person = models.ForeignKey(PERSON, models.CASCADE, related_name="usual_ranges", db_index=False)
    metric = models.CharField(max_length=32)
    day = models.DateField()
    sessions = models.PositiveIntegerField()
    days = models.PositiveIntegerField()
    median = models.FloatField(null=True)
    spread = models.FloatField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "metric"], name="one_usual_range_per_metric")
        ]

    def __str__(self) -> str:
        return f"{self.metric} of {self.person}"

    def bounds(self, spread: float) -> tuple[float, float] | None:
        """The usual range, from low to high; `None` without enough data."""
        if self.median is None or self.spread is None:
            return None
        return max(0.0, self.median - spread * self.spread), self.median + spread * self.spread


class Pass(models.Model):
    """When the last pass over the rules was: one row, locked while a pass writes what it found.

    `since`: from when on one pass followed another without a long pause. The server can't call
    anybody silent for the time in which it was off itself. `consuming_since`: the same of its
    consumer, for devices that are heard of through the broker; `None` where it was never away.
    """

    at = models.DateTimeField()
    since = models.DateTimeField()
    consuming_since = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "passes"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


Measured = dict[str, Any]
