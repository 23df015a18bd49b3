"""Permission checks for requests that only people, not devices, may make."""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from server.care.models import Person


def person_of(request: Request) -> Person:
    """Return the person who makes the request. Raises `PermissionDenied` for a device."""
    if not isinstance(request.user, Person):
        raise PermissionDenied
    return request.user


class IsPerson(BasePermission):
    """Allows logged-in people. Devices may only write."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Return whether the user is a person."""
        return isinstance(request.user, Person)
