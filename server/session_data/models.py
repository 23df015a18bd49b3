"""Models of sessions, of the order of their changes, and of the ids of deleted sessions."""

import json
import uuid
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from server.devices.models import Device


class State(models.TextChoices):
    """A session's state. `interrupted` is over too, but was not ended deliberately.

    `check` is the state of a stored check of the counting, whatever its document says. So a check
    is in none of the figures, ranges and alerts, which are made of the states `OVER` and `active`.
    So is a session that somebody marked as `somebody_else`: see whose/mark.py.
    """

    ACTIVE = "active"
    ENDED = "ended"
    INTERRUPTED = "interrupted"
    CHECK = "check"
    SOMEBODY_ELSE = "somebody_else"


# The states of a session that is over.
OVER = (State.ENDED, State.INTERRUPTED)

# States that only the server gives. Such sessions count in nothing.
SET_ASIDE = (State.CHECK, State.SOMEBODY_ELSE)

# The states in a document.
DOCUMENT_STATES = [each.value for each in State if each not in SET_ASIDE]


class Activity(StrEnum):
    """What a person did during a session, in the order of the pages. See activity/."""

    READING = "reading"
    SCREEN = "screen"
    TALKING = "talking"
    EATING = "eating"
    RESTING = "resting"
    OTHER = "other"


ACTIVITIES = [each.value for each in Activity]

# The columns that a summary reads, besides the person and the day.
SUMMARY_COLUMNS = (
    "state",
    "date_uncertain",
    "duration_s",
    "valid_s",
    "blink_rate_per_min",
    "ear_mean",
    "perclos",
    "long_closure_count",
    "blink_closure_left_median",
    "blink_closure_right_median",
    "activity",
)


class MetricColumns(models.Model):
    """A session's metrics, named as in the document. Null means "not measured"; 0 is a value."""

    duration_s = models.FloatField(null=True, blank=True)
    valid_s = models.FloatField(null=True, blank=True)
    coverage = models.FloatField(null=True, blank=True)
    frames = models.PositiveIntegerField(null=True, blank=True)
    frames_dropped = models.PositiveIntegerField(null=True, blank=True)
    blink_count = models.PositiveIntegerField(null=True, blank=True)
    partial_blink_count = models.PositiveIntegerField(null=True, blank=True)
    blink_rate_per_min = models.FloatField(null=True, blank=True)
    inter_blink_interval_median_s = models.FloatField(null=True, blank=True)
    blink_duration_median_ms = models.FloatField(null=True, blank=True)
    blink_duration_p90_ms = models.FloatField(null=True, blank=True)
    ear_mean = models.FloatField(null=True, blank=True)
    ear_open = models.FloatField(null=True, blank=True)
    perclos = models.FloatField(null=True, blank=True)
    long_closure_count = models.PositiveIntegerField(null=True, blank=True)
    longest_closure_s = models.FloatField(null=True, blank=True)
    # Older devices don't send these.
    ear_open_left = models.FloatField(null=True, blank=True)
    ear_open_right = models.FloatField(null=True, blank=True)
    blink_closure_left_median = models.FloatField(null=True, blank=True)
    blink_closure_right_median = models.FloatField(null=True, blank=True)
    looking_down = models.FloatField(null=True, blank=True)

    class Meta:
        abstract = True


# In the order of the document.
METRICS = tuple(field.name for field in MetricColumns._meta.local_fields)


class SessionData(MetricColumns):
    """A session at its newest revision: the complete document, and its metrics as columns.

    `started_at` and `ended_at` are by the device's clock (see `date_uncertain`), `received_at` and
    `updated_at` by the server's. `local_day` is the local day on which the session ended or, while
    active, started.

    A session whose date is uncertain is placed by its arrival: `received_at` and that day. So a
    device whose clock was not set can't put sessions at the wrong end of the history.

    The document is stored as text, complete with the keys of newer agents, and identically in both
    databases. It is the last column, and the history doesn't read it.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="sessions", db_index=False
    )
    device = models.ForeignKey(
        Device, models.SET_NULL, null=True, blank=True, related_name="sessions", db_index=False
    )
    # Stays true when the device is deleted: the session must not become the person's to write.
    from_device = models.BooleanField(default=False, editable=False)
    schema = models.PositiveSmallIntegerField(default=1)
    revision = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=State.choices)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=32, null=True, blank=True)
    timezone = models.CharField(max_length=64, blank=True)
    utc_offset_minutes = models.SmallIntegerField(null=True, blank=True)
    clock_synchronized = models.BooleanField(null=True)
    date_uncertain = models.BooleanField(default=False)
    local_day = models.DateField()
    received_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)
    # The session's position in the history. Computed by the database, so that it is always right.
    placed_at = models.GeneratedField(
        expression=models.Case(
            models.When(date_uncertain=True, then=models.F("received_at")),
            default=models.F("started_at"),
        ),
        output_field=models.DateTimeField(),
        db_persist=True,
    )
    camera_source = models.CharField(max_length=32, blank=True)
    fps = models.FloatField(null=True, blank=True)
    agent_version = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=128, blank=True)
    # The number of the transaction that stored this revision, among its person's: see changes/.
    change = models.PositiveBigIntegerField(default=0, editable=False)
    # The document's size, for the quotas, which read it from an index.
    document_bytes = models.PositiveIntegerField(default=0, editable=False)
    # One of `Activity`, or null. From the document, unless a person has chosen it.
    activity = models.CharField(max_length=16, null=True, blank=True)
    activity_chosen = models.BooleanField(default=False)
    document_json = models.TextField()

    class Meta:
        verbose_name = "session"
        ordering = ["-placed_at", "-id"]
        indexes = [
            models.Index(fields=["user", "-placed_at", "-id"], name="session_history"),
            models.Index(
                fields=["user", "state", "-placed_at", "-id"], name="session_history_by_state"
            ),
            # Covers all columns of a summary, so that it never reads the rows.
            models.Index(fields=["user", "local_day", *SUMMARY_COLUMNS], name="session_summary"),
            models.Index(fields=["device", "updated_at", "document_bytes"], name="session_device"),
            models.Index(fields=["user", "updated_at", "document_bytes"], name="session_bytes"),
            models.Index(fields=["user", "change", "id"], name="session_changes"),
            models.Index(
                fields=["user", "activity", "-placed_at", "-id"],
                condition=models.Q(activity__isnull=False),
                name="session_by_activity",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def document(self) -> dict[str, Any]:
        """The complete session document as received, including unknown keys."""
        document: dict[str, Any] = json.loads(self.document_json)
        return document


class ChangeSeries(models.Model):
    """How many transactions have changed a person's sessions: see changes/numbers.py.

    `series` is replaced by a restore. Deletions up to the number `forgotten` are no longer known.
    """

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    series = models.UUIDField(default=uuid.uuid4, editable=False)
    last = models.PositiveBigIntegerField(default=0)
    forgotten = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.person_id}: {self.last}"


class Deletion(models.Model):
    """A deleted session, until clients with a copy of it have been told.

    If it `was_active`, only those who may see active sessions can have one.
    """

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    session_id = models.UUIDField()
    change = models.PositiveBigIntegerField()
    at = models.DateTimeField(default=now, db_index=True)
    was_active = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["person", "change", "session_id"], name="deletions")]

    def __str__(self) -> str:
        return str(self.session_id)


class Tombstone(models.Model):
    """The mark of a deleted session, and nothing else: see tombstones.py.

    If its device sends the session again, the answer is `stale` and nothing is stored. A mark is
    a hash, and says nothing about the person.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=now)

    class Meta:
        app_label = "keeping"  # the app that created the table: don't rename the table

    def __str__(self) -> str:
        return str(self.id)
