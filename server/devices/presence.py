"""Store the status that a device publishes on its retained status topic."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from server.common.parsing import UnreadableError, parse_document
from server.devices.models import Device

MAX_STATUS_BYTES = 4096
MAX_PENDING = 2**31 - 1
LONGEST_CONNECTION = 32


def note_status(device: Device, payload: bytes, *, retained: bool) -> None:
    """Store the valid parts of a status; ignore an invalid one.

    `last_seen_at` only changes if the device itself has just sent the status. It doesn't change for
    a last will, which the broker sends, or a retained status, which is old. The broker sends a
    retained status again on every new connection, so it doesn't change `status_at` either.

    Every consumer receives every status, so a slow one stores an old status late: see `_current`.
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
    name = status.get("connection")
    if isinstance(name, str) and name.isprintable() and 0 < len(name) <= LONGEST_CONNECTION:
        told["connection" if online else "ended_connection"] = name
        _current(device, name, online=online, retained=retained).update(**told)
    else:
        Device.objects.filter(pk=device.pk).update(**told)


def _current(device: Device, name: str, *, online: bool, retained: bool) -> QuerySet[Device]:
    """Return the device, or nothing if the status is older than what is stored.

    `name` is the connection that the status is about. A connection that ended never comes back. A
    status that ends a connection is old if the device is online with another connection. A retained
    one is never old: it may be the first status of that connection that the server receives.
    """
    rows = Device.objects.filter(pk=device.pk)
    if online:
        return rows.exclude(ended_connection=name)
    return rows if retained else rows.exclude(~Q(connection__in=("", name)), online=True)
