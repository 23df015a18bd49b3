"""The state of devices for Home Assistant, with two queries for any number of devices."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery

from server.common.fields import instant_text
from server.devices.models import Device
from server.home_assistant.discovery import IDLE, MEASURING
from server.home_assistant.models import Shown
from server.session_data.models import OVER, SET_ASIDE, SessionData, State

# As on the pages: a running session is updated every few seconds.
UNDER_WAY = timedelta(seconds=90)
COLUMNS = (
    "id",
    "state",
    "updated_at",
    "ended_at",
    "date_uncertain",
    "blink_rate_per_min",
    "ear_mean",
    "perclos",
    "coverage",
)

Row = dict[str, Any]


def shown_devices(rows: Collection[Shown]) -> list[Device]:
    """Return the devices to show, with the ids of their person's newest sessions."""
    wanted = {row.device_id: row.person_pk for row in rows if row.wanted}
    own = SessionData.objects.filter(user=OuterRef("person"), device=OuterRef("pk"))
    own = own.exclude(state__in=SET_ASIDE)
    newest = own.order_by("-placed_at", "-id").values("pk")[:1]
    ended = own.filter(state__in=OVER).order_by("-placed_at", "-id").values("pk")[:1]
    found = (
        Device.objects.filter(pk__in=wanted, revoked_at=None)
        .select_related("person")
        .annotate(newest=Subquery(newest), last_ended=Subquery(ended))
    )
    return [device for device in found if device.person_id == wanted[device.pk]]


def states(devices: Collection[Any], now: datetime) -> dict[UUID, Row]:
    """Return the state of each device; values that are missing or unknown are `None`."""
    ids = {pk for device in devices for pk in (device.newest, device.last_ended) if pk}
    rows = {row["id"]: row for row in SessionData.objects.filter(pk__in=ids).values(*COLUMNS)}
    return {
        device.pk: _state(device, rows.get(device.newest, {}), rows.get(device.last_ended, {}), now)
        for device in devices
    }


def _state(device: Device, newest: Row, ended: Row, now: datetime) -> Row:
    active = newest.get("state") == State.ACTIVE and now - newest["updated_at"] <= UNDER_WAY
    told = ended.get("ended_at") if not ended.get("date_uncertain") else None
    return {
        "session": MEASURING if active else IDLE,
        "blink_rate_per_min": _rounded(newest.get("blink_rate_per_min"), 1, 1),
        "ear_mean": _rounded(newest.get("ear_mean"), 1, 3),
        "perclos_percent": _rounded(newest.get("perclos"), 100, 1),
        "coverage_percent": _rounded(newest.get("coverage"), 100, 1),
        "last_session_ended": instant_text(told) if told else None,
        "online": {None: None, True: "on", False: "off"}[device.is_online],
    }


def _rounded(value: float | None, scale: float, digits: int) -> float | None:
    return None if value is None else round(value * scale, digits)
