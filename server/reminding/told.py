"""What a device is told of its person's settings. Both the API and the broker tell the same.

A change gets a higher version, and devices ignore lower ones. Versions are seconds since 1970
where that is higher, so that the first change after a restore is not older than what devices know.
"""

from typing import Any

from django.db import transaction
from django.utils import timezone

from server.devices.models import Device
from server.reminding.models import DeviceSettings

Json = dict[str, Any]


def settings_of(device: Device) -> DeviceSettings:
    """Return the device's settings; if they have changed, with a new version."""
    wanted = _wanted(device)
    row: DeviceSettings | None = getattr(device, "told_settings", None)
    if row is not None and (row.person_pk, row.told) == (device.person_id, wanted):
        return row
    with transaction.atomic():
        Device.objects.select_for_update().get(pk=device.pk)  # lock: one version at a time
        last = DeviceSettings.objects.filter(pk=device.pk).first()
        if last is not None and (last.person_pk, last.told) == (device.person_id, wanted):
            return last
        version = max(last.version + 1 if last else 1, int(timezone.now().timestamp()))
        now = {"person_pk": device.person_id, "told": wanted, "version": version}
        return DeviceSettings.objects.update_or_create(pk=device.pk, defaults=now)[0]


def message_of(row: DeviceSettings) -> Json:
    """Return the settings as a device is told them."""
    return {"version": row.version, "device": str(row.pk), **row.told}


def _wanted(device: Device) -> Json:
    """Return what the device is to do now; nothing while only its former owner could read it."""
    choice = None if device.credentials_ended else getattr(device.person, "reminding", None)
    bound = None if choice is None else choice.bound_for(device)
    return {"reminding": None if bound is None else {"below_per_min": bound}}
