"""Who makes a request: a device or a person, by bearer token; people also by Django's session."""

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
    """`Authorization: Bearer <token>`, or `Token <token>`.

    `request.user` is then a `Device` or a `Person`, `request.auth` the token.
    """

    def authenticate(self, request: Request) -> tuple[Device | Person, Token] | None:
        """Who holds the token; `None` without one; `AuthenticationFailed` for one that is dead."""
        scheme, _, text = get_authorization_header(request).partition(b" ")
        if scheme.lower() not in (b"bearer", b"token"):
            return None
        token = _live_token(text.strip().decode("ascii", "replace"))
        if token is None:  # never issued, revoked, or its holder was: one answer for all
            raise AuthenticationFailed("this token does not open anything")
        token.touch()
        return (token.device if isinstance(token, DeviceToken) else token.person), token

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        """Makes a missing or dead token a 401."""
        return "Bearer"


def _live_token(text: str) -> Token | None:
    if text.startswith(DeviceToken.KIND):
        of_device = DeviceToken.find(text)
        return of_device if of_device and of_device.device.revoked_at is None else None
    of_person = PersonToken.find(text)
    return of_person if of_person and of_person.person.is_active else None


class IsPersonOrDevice(BasePermission):
    """Anybody we know."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Whether they may."""
        return isinstance(request.user, (Person, Device))


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the API's description calls it."""

    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        """HTTP bearer."""
        return {"type": "http", "scheme": "bearer"}
