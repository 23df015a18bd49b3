"""Bearer tokens: shown once, stored as SHA-256.

A token has 256 random bits, so a plain hash is enough: neither guessing nor a dictionary attack is
feasible.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.utils import timezone

# Writing on every request would turn every read into a commit. A resolution of a minute is enough.
LAST_USED_RESOLUTION = timedelta(minutes=1)


def digest(token: str) -> str:
    """Return the token's SHA-256 as 64 hex digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class HashedToken(models.Model):
    """Abstract model of a stored token. Only the holder knows the token itself.

    A subclass sets the name of the holder's field (`HOLDER`), the prefix of its tokens (`KIND`),
    the related objects to fetch (`FETCHED`) and the maximum number of valid tokens per holder
    (`MOST_LIVE`): issuing one more revokes the oldest, and sets its columns to `REPLACED`.
    """

    KIND = ""
    HOLDER = ""
    FETCHED = ""
    MOST_LIVE = 1
    REPLACED: dict[str, Any] = {}

    prefix = models.CharField(max_length=12, help_text="The first characters, to tell tokens apart")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @classmethod
    def issue(cls, holder: models.Model, **columns: Any) -> str:
        """Create a token for `holder` and return its text, which can't be recovered later."""
        token = cls.KIND + secrets.token_urlsafe(32)
        columns |= {cls.HOLDER: holder, "prefix": token[:12], "digest": digest(token)}
        cls._default_manager.create(**columns)
        surplus = list(cls.by_use(holder).values_list("pk", flat=True)[cls.MOST_LIVE :])
        cls._default_manager.filter(pk__in=surplus).update(
            revoked_at=timezone.now(), **cls.REPLACED
        )
        return token

    @classmethod
    def by_use(cls, holder: models.Model) -> "models.QuerySet[Self]":
        """Return the holder's valid tokens; those at the end are replaced first."""
        return cls.live(holder)

    @classmethod
    def live(cls, holder: models.Model) -> "models.QuerySet[Self]":
        """Return the holder's valid tokens, newest first."""
        return cls._default_manager.filter(**{cls.HOLDER: holder, "revoked_at": None})

    @classmethod
    def find(cls, token: str) -> "Self | None":
        """Return the valid token with this text, with its holder and their person prefetched."""
        found = cls._default_manager.select_related(cls.FETCHED)
        return found.filter(digest=digest(token), revoked_at=None).first()

    def touch(self) -> None:
        """Record that the token was used, at most once a minute."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > LAST_USED_RESOLUTION:
            type(self)._default_manager.filter(pk=self.pk).update(last_used_at=now)
            self.last_used_at = now

    def revoke(self) -> None:
        """Revoke the token: the next request with it fails."""
        self.revoked_at = self.revoked_at or timezone.now()
        self.save(update_fields=["revoked_at"])
