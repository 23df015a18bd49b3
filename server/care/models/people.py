"""People: names, time zone, language and password."""

from datetime import tzinfo
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models, transaction
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.common.days import validate_timezone, zone_of
from server.common.names import case_mapped, validate_shown_name, validate_username


def named(people: models.QuerySet["Person"], username: str) -> "Person | None":
    """Return the person with this user name in any case, width and encoding.

    Old names that differ in case alone are told apart by their exact spelling.
    """
    found = people.filter(username__in={username, case_mapped(username)})
    by_name = {person.username: person for person in found}
    return by_name.get(username) or by_name.get(case_mapped(username))


class PersonManager(UserManager["Person"]):
    """Finds people as `named` does when they log in."""

    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> "Person":
        """Return the person. Raises `Person.DoesNotExist`."""
        if (person := named(self.all(), username or "")) is None:
            raise Person.DoesNotExist
        return person


class Person(AbstractUser):
    """A user: someone who is measured, a caregiver, or both."""

    username = models.CharField(
        _("User name"),
        max_length=150,
        unique=True,
        validators=[validate_username],
        error_messages={"unique": _("This user name is already taken.")},
    )
    first_name = models.CharField(
        _("First name"), max_length=150, blank=True, validators=[validate_shown_name]
    )
    last_name = models.CharField(
        _("Last name"), max_length=150, blank=True, validators=[validate_shown_name]
    )
    timezone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_timezone],
        help_text="IANA name. Used for today's date, and for sessions without a time zone",
    )
    # Empty until the first log-in, which takes the browser's.
    language = models.CharField(max_length=8, blank=True, default="", choices=settings.LANGUAGES)

    objects: ClassVar[PersonManager] = PersonManager()

    _password: str | None  # Django's: set by `set_password` until the next `save`

    class Meta(AbstractUser.Meta):
        verbose_name = "person"
        verbose_name_plural = "people"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save. A changed password ends the API tokens, as it ends the browsers' sessions.

        This is here because passwords are also changed by Django's own pages and commands. When
        Django only renews a password's hash, `_password` is `None`.
        """
        if self._password is None or self._state.adding:
            super().save(*args, **kwargs)
            return
        from server.care.models.tokens import PersonToken, TokenEnd

        with transaction.atomic():
            super().save(*args, **kwargs)
            live = PersonToken.objects.filter(person=self, revoked_at=None)
            live.update(revoked_at=now(), ended_why=TokenEnd.PASSWORD)

    @classmethod
    def normalize_username(cls, username: str) -> str:
        """Return the form in which the user name is stored."""
        return case_mapped(username)

    def clean(self) -> None:
        """Normalize the user name, unless it is an old one that stays as it is."""
        written = self.username
        super().clean()
        if not self._state.adding and Person.objects.filter(pk=self.pk, username=written).exists():
            self.username = written

    @property
    def label(self) -> str:
        """The name to show on pages."""
        return self.get_full_name() or self.username

    @property
    def mail_language(self) -> str:
        """The language of mails and webhooks."""
        return self.language or settings.LANGUAGE_CODE

    @property
    def zone(self) -> tzinfo:
        """The person's time zone; UTC if this machine no longer knows its name."""
        return zone_of(self.timezone, None, "UTC")
