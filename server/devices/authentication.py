"""Authenticate devices and people by bearer token. (Browsers use Django's session instead.)"""

from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    get_authorization_header,
)
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from server.care.models import Person, PersonToken, TokenEnd, TokenScope
from server.common.tokens import digest
from server.devices.models import Device, DeviceToken

Token = DeviceToken | PersonToken

# Why a token was revoked, for the holder.
ENDS: dict[str, str] = {
    TokenEnd.LOGGED_OUT: "the app logged out",
    TokenEnd.PASSWORD: "the password was changed",
    TokenEnd.REPLACED: "the person has too many tokens, and a newer one took its place",
    TokenEnd.ADMINISTRATOR: "an administrator revoked it",
}


class BearerAuthentication(BaseAuthentication):
    """Authentication by `Authorization: Bearer <token>` or `Token <token>`.

    Sets `request.user` to a `Device` or a `Person`, and `request.auth` to the token.
    """

    def authenticate(self, request: Request) -> tuple[Device | Person, Token] | None:
        """Return the token's holder and the token; `None` without a token.

        Raises `AuthenticationFailed` for an invalid token, which says if it expired or was revoked,
        and `PermissionDenied` if a read-only token is used to write.
        """
        scheme, _, text = get_authorization_header(request).partition(b" ")
        if scheme.lower() not in (b"bearer", b"token"):
            return None
        given = text.strip().decode("ascii", "replace")
        token = _live_token(given)
        if token is None:
            raise _refusal(given)
        if isinstance(token, PersonToken):
            _check_scope(request, token)
        token.touch()
        return (token.device if isinstance(token, DeviceToken) else token.person), token

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        """Return the WWW-Authenticate header, which makes a missing or invalid token a 401."""
        return "Bearer"


def _live_token(text: str) -> Token | None:
    if text.startswith(DeviceToken.KIND):
        of_device = DeviceToken.find(text)
        return of_device if of_device and of_device.device.revoked_at is None else None
    of_person = PersonToken.find(text)
    return of_person if of_person and of_person.person.is_active else None


def _refusal(text: str) -> AuthenticationFailed:
    """Return why a token is not valid. Only its holder learns that it was valid once."""
    ended = PersonToken.objects.filter(digest=digest(text), person__is_active=True).first()
    if ended is None:  # unknown, a device's, or its holder is not active: don't say which
        return AuthenticationFailed("invalid or revoked token", "invalid_token")
    if ended.revoked_at is None:
        day = ended.expires_at.date()
        return AuthenticationFailed(f"the token expired on {day}: log in again", "token_expired")
    why = ENDS.get(ended.ended_why, "it was revoked")
    day = ended.revoked_at.date()
    return AuthenticationFailed(f"the token ended on {day}: {why}", "token_ended")


def _check_scope(request: Request, token: PersonToken) -> None:
    """Raise `PermissionDenied` if a token that may only read is used to write."""
    any_scope = getattr(request.parser_context.get("view"), "any_scope", False)
    if token.scope == TokenScope.WRITE or request.method in SAFE_METHODS or any_scope:
        return
    raise PermissionDenied("this token may only read", "token_read_only")


class IsPersonOrDevice(BasePermission):
    """Allows people and devices that are authenticated."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Return whether the user is a person or a device."""
        return isinstance(request.user, (Person, Device))


class IsDevice(BasePermission):
    """Allows devices that are authenticated."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Return whether the user is a device."""
        return isinstance(request.user, Device)


class BrowserAuthentication(SessionAuthentication):
    """Authentication by the session of a browser; writes need Django's CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        """Check the CSRF token. Raises `PermissionDenied` with a code of its own."""
        try:
            super().enforce_csrf(request)
        except PermissionDenied as error:
            raise PermissionDenied(str(error.detail), "csrf_failed") from None


class BrowserScheme(SessionScheme):  # type: ignore[no-untyped-call]
    """Describes `BrowserAuthentication` in the OpenAPI schema."""

    target_class = BrowserAuthentication  # type: ignore[assignment] # the stubs lack classes


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes `BearerAuthentication` in the OpenAPI schema."""

    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        """Return the OpenAPI security scheme: HTTP bearer."""
        return {"type": "http", "scheme": "bearer"}
