"""People, links between them, and who looked at whom."""

import zoneinfo

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.tokens import HashedToken


def validate_timezone(name: str) -> None:
    """Refuse what is not an IANA zone of this machine."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(
            _("“%(name)s” is not a time zone, such as Europe/Berlin."), params={"name": name}
        )


class Person(AbstractUser):
    """Somebody who is measured, cares for somebody, or both."""

    timezone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_timezone],
        help_text="IANA name: today, and sessions that don't say their own zone, are judged by it",
    )
    language = models.CharField(max_length=8, default="en", choices=settings.LANGUAGES)

    class Meta(AbstractUser.Meta):
        verbose_name = "person"
        verbose_name_plural = "people"

    @property
    def label(self) -> str:
        """How this person is called on a page."""
        return self.get_full_name() or self.username


class CareLink(models.Model):
    """`caregiver` may see `person`, from `created_at` until `ended_at`."""

    caregiver = models.ForeignKey(Person, models.CASCADE, related_name="caring_for")
    person = models.ForeignKey(Person, models.CASCADE, related_name="cared_for_by")
    created_at = models.DateTimeField(default=now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["caregiver", "person"],
                condition=models.Q(ended_at=None),
                name="one_open_link_per_pair",
            ),
            models.CheckConstraint(
                condition=~models.Q(caregiver=models.F("person")), name="nobody_links_to_themselves"
            ),
        ]
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.caregiver} → {self.person}"

    def end(self) -> None:
        """From the next request on, the caregiver sees nothing of this person."""
        self.ended_at = self.ended_at or now()
        self.save(update_fields=["ended_at"])


class PersonToken(HashedToken):
    """Opens the API for a person, in place of a browser's session."""

    KIND = "blp_"
    HOLDER = FETCHED = "person"
    MOST_LIVE = 20  # a phone, a script or two, some forgotten; not an unbounded pile

    person = models.ForeignKey(Person, models.CASCADE, related_name="tokens")


class AccessLog(models.Model):
    """`viewer` looked at `person`'s data: `views` times between `first_at` and `last_at`."""

    person = models.ForeignKey(Person, models.CASCADE, related_name="looked_at", db_index=False)
    viewer = models.ForeignKey(Person, models.SET_NULL, null=True, related_name="looks")
    viewer_name = models.CharField(max_length=150, help_text="Kept when the account is deleted")
    what = models.CharField(max_length=32)
    session_id = models.UUIDField(null=True, blank=True)
    first_at = models.DateTimeField(default=now)
    last_at = models.DateTimeField(default=now)
    views = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-last_at", "-id"]
        indexes = [models.Index(fields=["person", "-last_at"], name="looks_at_a_person")]
        verbose_name_plural = "access log"

    def __str__(self) -> str:
        return f"{self.viewer_name}: {self.what}"


class LoginFailure(models.Model):
    """One failed log-in, counted against a name, an address or both (`key` is keyed and hashed)."""

    key = models.CharField(max_length=64)
    at = models.DateTimeField(default=now)

    class Meta:
        indexes = [
            models.Index(fields=["key", "at"], name="failures_of_a_key"),
            models.Index(fields=["at"], name="failures_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.key[:8]} {self.at:%H:%M}"
