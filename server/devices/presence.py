"""What a device says of itself, on its retained status topic."""

from typing import Any

from django.utils import timezone

from server.common.parsing import UnreadableError, parse_document
from server.devices.models import Device

MAX_STATUS_BYTES = 4096
MAX_PENDING = 2**31 - 1


def note_status(device: Device, payload: bytes, *, retained: bool) -> None:
    """Keep what can be read of it; nonsense changes nothing.

    "Last seen" moves only when the device itself spoke just now: neither its last will, which the
    broker speaks, nor a retained status, which is old, says that. A retained one comes with each
    new connection to the broker, so it moves no time at all.
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
