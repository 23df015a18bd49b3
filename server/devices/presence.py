"""Store the status that a device publishes on its retained status topic."""

from typing import Any

from django.utils import timezone

from server.common.parsing import UnreadableError, parse_document
from server.devices.models import Device

MAX_STATUS_BYTES = 4096
MAX_PENDING = 2**31 - 1


def note_status(device: Device, payload: bytes, *, retained: bool) -> None:
    """Store the valid parts of a status; ignore an invalid one.

    `last_seen_at` only changes if the device itself has just sent the status. It doesn't change for
    a last will, which the broker sends, or a retained status, which is old. The broker sends a
    retained status again on every new connection, so it doesn't change `status_at` either.
    """
    if len(payload) > MAX_STATUS_BYTES:
        return
    try:
        status = parse_document(payload)
    except UnreadableError:
        return
    online = status.get("online")
    if not isinstance(online, bool):
        return
    told: dict[str, Any] = {"online": online}
    if not retained:
        told["status_at"] = now = timezone.now()
        if online:
            told["last_seen_at"] = now
    version, pending = status.get("agent_version"), status.get("pending")
    if isinstance(version, str) and version.isprintable():  # no NUL, no surrogates
        told["agent_version"] = version[:64]
    if type(pending) is int and 0 <= pending <= MAX_PENDING:
        told["pending_sessions"] = pending
    Device.objects.filter(pk=device.pk).update(**told)
