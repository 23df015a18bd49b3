"""Single-use codes that people read out and type: random, short-lived, stored as keyed hashes.

Codes are short, so anyone with a copy of the database could brute-force a plain hash. The hash
therefore includes the server's secret key. `care/wrong_codes.py` limits online guessing.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac

# Without 0, O, 1 and I: 32 characters that are hard to confuse when read aloud.
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
# Maximum length of typed input, with spaces and dashes; the rest is ignored.
LONGEST_TYPED = 64
# How long a code stays locked while it is being used, in case that process dies.
HOLD = timedelta(minutes=1)


class NotACodeError(Exception):
    """The code is unknown, used or expired. The error deliberately doesn't say which."""


def normalised(text: str) -> str:
    """Return the code in upper case without spaces and dashes, as it was issued."""
    return "".join(each for each in text[:LONGEST_TYPED].upper() if each.isalnum())


def grouped(code: str) -> str:
    """Return the code in groups of four for reading out: `ABCD-2345`."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def digest(code: str) -> str:
    """Return the code's HMAC-SHA-256, keyed with the server's secret key, as 64 hex digits."""
    text = normalised(code).encode("utf-8", "replace")
    return salted_hmac("blinklog.code", text, algorithm="sha256").hexdigest()


class HashedCode(models.Model):
    """Abstract model of a stored code. A subclass adds its purpose, length and lifetime."""

    LENGTH = 8
    LIFE: timedelta
    LONGEST_LIFE: timedelta

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
        """Create a code and return it with its text, which can't be recovered later."""
        text = "".join(secrets.choice(ALPHABET) for _ in range(cls.LENGTH))
        now = timezone.now()
        expires_at = now + min(life or cls.LIFE, cls.LONGEST_LIFE)
        made = cls._default_manager.create(
            digest=digest(text), made_at=now, expires_at=expires_at, **fields
        )
        return made, text

    @classmethod
    def live(cls) -> "models.QuerySet[Self]":
        """Return the codes that are still valid."""
        return cls._default_manager.filter(used_at=None, expires_at__gt=timezone.now())

    @classmethod
    def find(cls, text: str) -> "Self | None":
        """Return the valid code with this text, or `None`."""
        return cls.live().filter(digest=digest(text)).first()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the code for the duration of the block; release it if the block raises.

        Raises `NotACodeError` if the code is locked or used. Call `use` in the same transaction as
        the action that the code authorises.
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
        """Mark the code as used. Raises `NotACodeError` if it was used before."""
        used = type(self)._default_manager.filter(pk=self.pk, used_at=None)
        if not used.update(used_at=timezone.now(), **fields):
            raise NotACodeError

    def withdraw(self) -> None:
        """Expire the code now, without using it."""
        now = timezone.now()
        type(self)._default_manager.filter(pk=self.pk, expires_at__gt=now).update(expires_at=now)
