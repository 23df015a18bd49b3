"""Check and keep the views that devices send while they are aimed.

Views are untrusted, and people's browsers draw them: only known keys with numbers in range are
kept. Only the newest view is kept, and `forget` deletes it when it is old.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from server.aiming.models import Aimed
from server.common.parsing import UnreadableError, parse_document
from server.devices.models import Device

MAX_BYTES = 8 * 1024
# A view that is older is not shown: the device has stopped aiming, or is not connected.
FRESH = timedelta(seconds=3)
KEPT = timedelta(minutes=10)
ADVICE = (
    "no_face",
    "turned",
    "dark",
    "nearer",
    "sideways",
    "blurred",
    "slow",
    "second_face",
    "good",
)
# Largest values, far above what cameras give.
NUMBERS = {
    "aspect": 100.0,
    "found": 1e5,
    "needed": 1e5,
    "apart_px": 1e5,
    "sharpness": 10.0,
    "light": 255.0,
    "turn_deg": 180.0,
    "fps": 1000.0,
    "left": 100.0,
    "right": 100.0,
}
MOST_POINTS = 64
MOST_BLINKS = 100_000


def note_view(device: Device, payload: bytes) -> None:
    """Keep the view in a message of a device; ignore an invalid one."""
    if len(payload) > MAX_BYTES:
        return
    try:
        keep_view(device, parse_document(payload))
    except UnreadableError:
        return


def keep_view(device: Device, view: Any) -> bool:
    """Keep a device's view; return whether it was valid."""
    told = checked(view)
    if told is None:
        return False
    Aimed.objects.update_or_create(
        device=device,
        defaults={"person_pk": device.person_id, "at": timezone.now(), "told": told},
    )
    return True


def view_of(device: Device) -> dict[str, Any] | None:
    """Return the device's newest view of its present person, or None if there is no recent one."""
    since = timezone.now() - FRESH
    kept = Aimed.objects.filter(device=device, person_pk=device.person_id, at__gt=since).first()
    return None if kept is None else kept.told


def forget(now: datetime) -> int:
    """Delete old views; return how many."""
    return Aimed.objects.filter(at__lt=now - KEPT).delete()[0]


def checked(view: Any) -> dict[str, Any] | None:
    """Return the known parts of a view, or None if one of them is invalid."""
    if not isinstance(view, dict) or view.get("advice") not in ADVICE:
        return None
    told: dict[str, Any] = {"advice": view["advice"]}
    for name, most in NUMBERS.items():
        value = view.get(name)
        if value is not None and not _is_number(value, most):
            return None
        told[name] = value
    blinks = view.get("blinks")
    if type(blinks) is not int or not 0 <= blinks <= MOST_BLINKS:
        return None
    told["blinks"] = blinks
    for name in ("blinked", "second_face"):
        told[name] = view.get(name) is True
    outline, lids = view.get("outline"), view.get("lids")
    if not (_is_shape(outline) and _is_list(lids, 2, _is_shape)):
        return None
    return {**told, "outline": outline, "lids": lids}


def verdict_of(document: Any) -> dict[str, Any] | None:
    """Return the verdict on the aim in a running session's document, if it is valid."""
    aim = document.get("aim") if isinstance(document, dict) else None
    if not isinstance(aim, dict) or aim.get("advice") not in ADVICE:
        return None
    numbers = {name: aim.get(name) for name in ("found", "needed")}
    if any(each is not None and not _is_number(each, 1e5) for each in numbers.values()):
        return None
    return {"advice": aim["advice"], **numbers}


def _is_number(value: Any, most: float) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= most


def _is_list(value: Any, most: int, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and len(value) <= most and all(holds(each) for each in value)


def _is_shape(value: Any) -> bool:
    return _is_list(value, MOST_POINTS, _is_point)


def _is_point(value: Any) -> bool:
    return _is_list(value, 2, lambda each: _is_number(each, 10.0)) and len(value) == 2
