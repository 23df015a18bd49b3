"""A note: what happened when, written by whom, about whom."""

import uuid
from datetime import date

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.common.names import validate_shown_text


class Kind(models.TextChoices):
    """What a note is about."""

    MEDICINE = "medicine", _("Medicine")
    DROPS = "drops", _("Eye drops")
    BAD_SLEEP = "bad_sleep", _("Bad sleep")
    TEXT = "text", _("Note")


class Note(models.Model):
    """A note about `person`, at a moment, and about one of their sessions if `session_id` is set.

    `shared` notes are seen by everybody who may see the person's history, others by the person
    alone. A caregiver's note is always shared. The author's name is kept when the account is
    deleted. The session is named by its id, as in other tables; the note is deleted with it.
    """

    LONGEST_TEXT = 200
    # Notes of one author about one person.
    MOST = 1000

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notes", db_index=False
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="written_notes"
    )
    author_name = models.CharField(max_length=150)
    session_id = models.UUIDField(null=True, blank=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    at = models.DateTimeField()
    text = models.CharField(
        max_length=LONGEST_TEXT,
        blank=True,
        validators=[MaxLengthValidator(LONGEST_TEXT), validate_shown_text],
    )
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now, editable=False)
    changed_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["person", "-at", "-id"], name="notes_about_a_person"),
            models.Index(
                fields=["session_id"],
                condition=models.Q(session_id__isnull=False),
                name="notes_on_a_session",
            ),
            models.Index(fields=["at"], name="notes_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M}"

    @property
    def day(self) -> date:
        """The day in the person's time zone."""
        moment = self.at.astimezone(self.person.zone)
        return moment.date()

    @property
    def author_label(self) -> str:
        """The author's name to show on pages."""
        return self.author.label if self.author else self.author_name
