"""Requests that only a person may make."""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from server.care.models import Person


def person_of(request: Request) -> Person:
    """The person who makes a request that only people may make."""
    if not isinstance(request.user, Person):
        raise PermissionDenied
    return request.user


class IsPerson(BasePermission):
    """Somebody who is logged in; a device reads nothing."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Whether they may."""
        return isinstance(request.user, Person)
