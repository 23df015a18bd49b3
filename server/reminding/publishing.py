"""Publish the devices' settings at the broker, which retains them.

As for Home Assistant, the consumer compares every few seconds what was published with what is
wanted. So changing a setting, reassigning a device and renewing its credentials need no call. If
the broker does not permit it, only this fails: devices then ask over HTTP.
"""

import json
import logging
import time
from collections.abc import Callable
from uuid import UUID

from django.db.models import F, Q, QuerySet

from server.common.mqtt import BrokerError, Connection, device_topic
from server.devices.models import Device
from server.reminding.models import DeviceSettings
from server.reminding.told import message_of, settings_of

log = logging.getLogger(__name__)

MOST_AT_ONCE = 100  # each waits for the broker, which delays documents; the rest follows
# The broker forgets the settings of a device that was deleted. Others are published again in time.
EXPIRY_S = 30 * 86_400
AGAIN_S = 86_400.0


class SettingsPublisher:
    """The publisher of one broker connection. Raises `django.db.Error` if the database is down."""

    def __init__(self, line: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._clock = clock
        self._said: dict[UUID, tuple[int, float]] = {}
        self._refused = False

    def look_round(self) -> None:
        """Publish the settings that have changed, and all of them once and then daily."""
        if self._refused:
            return
        left = MOST_AT_ONCE
        try:
            for device in _to_tell():
                left -= self._tell(device)
                if not left:
                    return
        except BrokerError as error:
            self._refused = True
            log.warning("devices get no settings over MQTT: the broker %s", error)

    def _tell(self, device: Device) -> bool:
        """Publish the device's settings if that is due; return whether it was."""
        row, now_s = settings_of(device), self._clock()
        version, said_s = self._said.get(device.pk, (None, 0.0))
        if version == row.version and now_s - said_s < AGAIN_S:
            return False
        payload = json.dumps(message_of(row), separators=(",", ":")).encode()
        self._line.publish(device_topic(device.pk, "settings"), payload, EXPIRY_S, retain=True)
        self._said[device.pk] = row.version, now_s
        DeviceSettings.objects.filter(pk=row.pk).update(published=row.version)
        return True


def _to_tell() -> QuerySet[Device]:
    """Return the devices of people who have ever chosen, and those that were told otherwise."""
    told = Q(told_settings__published__isnull=False)
    changed = ~Q(told_settings__published=F("told_settings__version"))
    other = ~Q(told_settings__person_pk=F("person_id"))
    devices = Device.objects.filter(revoked_at=None)
    wanted = devices.filter(Q(person__reminding__isnull=False) | told & (changed | other))
    return wanted.select_related("person__reminding", "told_settings")
