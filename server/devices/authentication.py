"""Authenticate devices and people by bearer token. (Browsers use Django's session instead.)"""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from server.care.models import Person, PersonToken
from server.devices.models import Device, DeviceToken

Token = DeviceToken | PersonToken


class BearerAuthentication(BaseAuthentication):
    """Authentication by `Authorization: Bearer <token>` or `Token <token>`.

    Sets `request.user` to a `Device` or a `Person`, and `request.auth` to the token.
    """

    def authenticate(self, request: Request) -> tuple[Device | Person, Token] | None:
        """Return the token's holder and the token; `None` without a token.

        Raises `AuthenticationFailed` for an invalid token.
        """
        scheme, _, text = get_authorization_header(request).partition(b" ")
        if scheme.lower() not in (b"bearer", b"token"):
            return None
        token = _live_token(text.strip().decode("ascii", "replace"))
        if token is None:  # unknown, revoked, or its holder is: don't say which
            raise AuthenticationFailed("invalid or revoked token", "invalid_token")
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


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes `BearerAuthentication` in the OpenAPI schema."""

    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        """Return the OpenAPI security scheme: HTTP bearer."""
        return {"type": "http", "scheme": "bearer"}
