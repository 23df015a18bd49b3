"""API tokens of people."""

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Coalesce
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from server.care.models.people import Person
from server.common.tokens import HashedToken


class TokenScope(models.TextChoices):
    """What an API token allows."""

    READ = "read", _("Read only")
    WRITE = "write", _("Read and write")


class TokenEnd(models.TextChoices):
    """Why an API token was revoked."""

    REVOKED = "revoked", _("revoked on the account page")
    LOGGED_OUT = "logged_out", _("logged out by the app")
    PASSWORD = "password", _("the password was changed")
    REPLACED = "replaced", _("too many apps: a newer one took its place")
    ADMINISTRATOR = "administrator", _("revoked by an administrator")


LONGEST_TOKEN_LIFE = timedelta(days=365)


def in_a_year() -> datetime:
    """Return when a token issued now expires, unless specified otherwise."""
    return now() + LONGEST_TOKEN_LIFE


def token_ends() -> list[tuple[str, Any]]:
    """Return the choices. A function, so that adding a reason needs no migration."""
    return TokenEnd.choices


class PersonToken(HashedToken):
    """A person's API token, used instead of a browser session.

    It ends at `expires_at`, or at `revoked_at` for the reason `ended_why`. `name` says which app
    has it.
    """

    KIND = "blp_"
    HOLDER = FETCHED = "person"
    MOST_LIVE = 20  # enough for phones, scripts and forgotten ones
    REPLACED = {"ended_why": TokenEnd.REPLACED}
    LONGEST_NAME = 64

    person = models.ForeignKey(Person, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=LONGEST_NAME, default="App")
    scope = models.CharField(max_length=8, choices=TokenScope.choices, default=TokenScope.WRITE)
    expires_at = models.DateTimeField(default=in_a_year)
    ended_why = models.CharField(max_length=16, choices=token_ends, blank=True, editable=False)

    @classmethod
    def live(cls, holder: models.Model) -> models.QuerySet["PersonToken"]:
        """Return the person's valid tokens, newest first."""
        return super().live(holder).filter(expires_at__gt=now())

    @classmethod
    def by_use(cls, holder: models.Model) -> models.QuerySet["PersonToken"]:
        """Return the person's valid tokens, those unused for longest last."""
        return cls.live(holder).order_by(Coalesce("last_used_at", "created_at").desc(), "-id")

    @classmethod
    def find(cls, token: str) -> "PersonToken | None":
        """Return the valid token with this text, with its person prefetched."""
        found = super().find(token)
        return found if found and found.expires_at > now() else None

    @property
    def label(self) -> str:
        """The name with the token's first characters, as in the audit log."""
        return f"{self.name} ({self.prefix}…)"

    def revoke(self, why: TokenEnd = TokenEnd.REVOKED) -> None:
        """Revoke the token: the next request with it fails, and is told why."""
        self.revoked_at, self.ended_why = self.revoked_at or now(), why
        self.save(update_fields=["revoked_at", "ended_why"])
