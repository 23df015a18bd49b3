"""Codes that people read out and type: random, short-lived, used once, kept as keyed hashes.

A code is short, so a thief of the database could try them all against a plain hash: the server's
secret key is part of this one. Guessing at the door is limited in `care/wrong_codes.py`.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac

# Without 0 and O, 1 and I: 32 characters that survive being read aloud.
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
# Spaces and dashes make a code readable; this much of a text is looked at.
LONGEST_TYPED = 64
# While a code is being used, for as long as that may take; then it is free again.
HOLD = timedelta(minutes=1)


class NotACodeError(Exception):
    """Unknown, used, expired: which of them is nobody's business."""


def normalised(text: str) -> str:
    """As the code was made, however it was typed."""
    return "".join(each for each in text[:LONGEST_TYPED].upper() if each.isalnum())


def grouped(code: str) -> str:
    """`ABCD-2345`: to be read out."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def digest(code: str) -> str:
    """HMAC-SHA-256 under the server's secret key, as 64 hex digits."""
    text = normalised(code).encode("utf-8", "replace")
    return salted_hmac("blinklog.code", text, algorithm="sha256").hexdigest()


class HashedCode(models.Model):
    """What is kept of a code. A subclass says what it opens, how long it is and lives."""

    LENGTH = 8
    LIFE = timedelta(minutes=60)
    LONGEST_LIFE = timedelta(days=1)

    digest = models.CharField(max_length=64, unique=True, editable=False)
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    held_until = models.DateTimeField(null=True, blank=True, editable=False)
    used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
        ordering = ["-made_at", "-id"]

    @classmethod
    def issue(cls, life: timedelta | None = None, **fields: Any) -> tuple[Self, str]:
        """A new one and its text, which can't be had again."""
        text = "".join(secrets.choice(ALPHABET) for _ in range(cls.LENGTH))
        now = timezone.now()
        expires_at = now + min(life or cls.LIFE, cls.LONGEST_LIFE)
        made = cls._default_manager.create(
            digest=digest(text), made_at=now, expires_at=expires_at, **fields
        )
        return made, text

    @classmethod
    def live(cls) -> "models.QuerySet[Self]":
        """Those that still open something."""
        return cls._default_manager.filter(used_at=None, expires_at__gt=timezone.now())

    @classmethod
    def find(cls, text: str) -> "Self | None":
        """The live one with this text."""
        return cls.live().filter(digest=digest(text)).first()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else uses it meanwhile; after an error it may be used again.

        Raises `NotACodeError` where somebody else uses it, or has. `use` belongs into the same
        transaction as what the code opens.
        """
        now = timezone.now()
        free = models.Q(held_until=None) | models.Q(held_until__lte=now)
        if not type(self).live().filter(free, pk=self.pk).update(held_until=now + HOLD):
            raise NotACodeError
        try:
            yield
        except BaseException:
            type(self)._default_manager.filter(pk=self.pk).update(held_until=None)
            raise

    def use(self, **fields: Any) -> None:
        """It opens nothing any more. Raises `NotACodeError` where it was used before."""
        used = type(self)._default_manager.filter(pk=self.pk, used_at=None)
        if not used.update(used_at=timezone.now(), **fields):
            raise NotACodeError

    def withdraw(self) -> None:
        """It opens nothing any more, unused."""
        now = timezone.now()
        type(self)._default_manager.filter(pk=self.pk, expires_at__gt=now).update(expires_at=now)
