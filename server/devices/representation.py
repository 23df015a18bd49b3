"""What people can see of a device, in the API and on the pages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.care.models import Person
from server.common.problems import without_found
from server.devices.models import DeadLetter, Device

# Maximum number of reasons to show. `blink-server dead-letters` lists all.
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


def refused(viewer: Person, device: Device) -> list[Refused]:
    """Return why documents of the device about its person were rejected, newest first.

    For institution admins the offending values are removed; they may be measurements.
    """
    letters = DeadLetter.objects.filter(device=device, person=device.person_id)
    rows = letters.order_by("-received_at", "-id").values_list("received_at", "reason")
    is_own = viewer.pk == device.person_id
    return [
        Refused(at, reason if is_own else without_found(reason))
        for at, reason in rows[:MOST_REASONS]
    ]
