"""Recognise browsers that have logged in before.

A signed cookie names the person who logged in. Log-ins with it have a limit of their own, so that
strangers who try wrong passwords can't lock that person out (a "device cookie", as described by
OWASP). It opens nothing: the password is still needed.
"""

import secrets
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

LIFE = timedelta(days=365)
SALT = "blinklog.known_browser"


def remember(response: HttpResponse, username: str) -> None:
    """Set the cookie after a successful log-in. A browser has one for each person."""
    response.set_cookie(
        _name(username),
        _signer(username).sign(secrets.token_urlsafe(12)),
        max_age=LIFE,
        path=settings.LOGIN_URL,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def known(request: HttpRequest | None, username: str) -> str | None:
    """Return what identifies this browser if this person has logged in with it before."""
    if request is None:
        return None
    try:
        text = request.COOKIES.get(_name(username), "")
        return _signer(username).unsign(text, max_age=LIFE)
    except signing.BadSignature:
        return None


def _name(username: str) -> str:
    """Return the cookie's name, which doesn't show the user name."""
    hashed = salted_hmac(SALT, username.casefold(), algorithm="sha256").hexdigest()
    return f"known_{hashed[:16]}"


def _signer(username: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"{SALT}\0{username.casefold()}")
