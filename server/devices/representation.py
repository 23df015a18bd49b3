"""What people can see of a device, in the API and on the pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from server.care.models import Person
from server.common.problems import without_found
from server.devices.models import DeadLetter, Device

# Maximum number of reasons on a page. `blink-server dead-letters` lists all.
MOST_REASONS = 20


@dataclass(frozen=True)
class Refused:
    """A rejected document: when and why, without its content."""

    received_at: datetime
    reason: str


def presence(device: Device, *, is_live: bool = True) -> dict[str, Any]:
    """Return what caregivers can see of a device.

    Without the live permission (`is_live`), whether it is online and when it was last seen are
    hidden.
    """
    return {
        "id": str(device.pk),
        "label": device.label,
        "user": device.person.username,
        "online": device.is_online if is_live and not device.revoked_at else None,
        "last_seen_at": device.last_seen_at if is_live else None,
        "revoked": device.revoked_at is not None,
    }


def details(device: Device) -> dict[str, Any]:
    """Return what the people who manage a device can see."""
    return presence(device) | {
        "created_at": device.created_at,
        "revoked_at": device.revoked_at,
        "reassigned_at": device.reassigned_at,
        "agent_version": device.agent_version or None,
        "pending_sessions": device.pending_sessions,
        "tokens": [
            {
                "prefix": token.prefix,
                "created_at": token.created_at,
                "last_used_at": token.last_used_at,
            }
            for token in device.tokens.filter(revoked_at=None)
        ],
    }


def refused_documents(device: Device) -> QuerySet[DeadLetter]:
    """Return the device's rejected documents about its person, newest first, without content."""
    letters = DeadLetter.objects.filter(device=device, person=device.person_id)
    return letters.only("received_at", "reason").order_by("-received_at", "-id")


def refused(viewer: Person, device: Device, letters: Iterable[DeadLetter]) -> list[Refused]:
    """Return when and why these documents of the device were rejected.

    For institution admins the offending values are removed; they may be measurements.
    """
    is_own = viewer.pk == device.person_id
    return [
        Refused(each.received_at, each.reason if is_own else without_found(each.reason))
        for each in letters
    ]
