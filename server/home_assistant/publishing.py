"""Publish devices to Home Assistant and keep the retained messages up to date.

The consumer compares the published messages with the wanted ones every few seconds, and after each
batch for the devices in it. So opting in and out, renaming, reassigning, revoking and deleting need
no call of their own. If the broker does not permit it, only this feature fails.
"""

import json
import logging
from collections.abc import Collection
from uuid import UUID

from django.conf import settings
from django.utils import timezone, translation

from server.common.mqtt import BrokerError, Connection
from server.common.version import our_version
from server.devices.models import Device
from server.home_assistant.discovery import (
    OFFLINE,
    ONLINE,
    config_topic,
    description,
    home_topic,
    topics,
)
from server.home_assistant.models import Shown
from server.home_assistant.state import shown_devices, states

log = logging.getLogger(__name__)

# Each message waits for an acknowledgement, which delays documents. The rest follows next time.
MOST_AT_ONCE = 100


class HomeAssistant:
    """The publisher of one broker connection. Raises `django.db.Error` if the database is down."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._said: dict[str, bytes] = {}
        self._shown: set[UUID] = set()
        self._left = 0
        self._refused = False

    @property
    def shows_any(self) -> bool:
        """Whether there was any device to show at the last full update."""
        return bool(self._shown) and not self._refused

    def look_round(self) -> None:
        """Publish all devices and remove those no longer shown."""
        rows = list(Shown.objects.all())
        devices = shown_devices(rows) if rows else []
        self._shown = {device.pk for device in devices}
        self._left = MOST_AT_ONCE
        try:
            for row in rows:
                if row.device_id not in self._shown:
                    self._withdraw(row)
            self._tell(devices)
        except BrokerError as error:
            self._give_up(error)

    def after(self, touched: Collection[UUID]) -> None:
        """Update the states of these devices, if they are shown."""
        if not self.shows_any or not (known := self._shown.intersection(touched)):
            return
        devices = shown_devices(list(Shown.objects.filter(pk__in=known)))
        self._left = MOST_AT_ONCE
        try:
            self._tell(devices)
        except BrokerError as error:
            self._give_up(error)

    def _tell(self, devices: Collection[Device]) -> None:
        told = states(devices, timezone.now()) if devices else {}
        for device in devices:
            with translation.override(device.person.language):
                config = description(device, our_version(), settings.PUBLIC_URL)
            there = OFFLINE if device.is_online is False else ONLINE
            # The state first, so that new entities have values at once.
            self._say(home_topic(device.pk, "state"), _packed(told[device.pk]))
            self._say(home_topic(device.pk, "availability"), there.encode())
            self._say(config_topic(device.pk), _packed(config))

    def _withdraw(self, row: Shown) -> None:
        """Remove a device's retained messages from the broker, then delete its row."""
        for topic in topics(row.device_id):
            self._say(topic, b"")
            if self._said.get(topic) != b"":
                return  # not sent yet: keep the row
        for topic in topics(row.device_id):
            del self._said[topic]
        Shown.objects.filter(pk=row.pk, wanted=row.wanted, person_pk=row.person_pk).delete()

    def _say(self, topic: str, payload: bytes) -> None:
        if self._refused or self._left <= 0 or self._said.get(topic) == payload:
            return
        self._line.publish(topic, payload, retain=True)
        self._left -= 1
        self._said[topic] = payload

    def _give_up(self, error: BrokerError) -> None:
        """Stop until the next connection. The consumer itself notices a lost connection."""
        self._refused = True
        log.warning("nothing is shown in Home Assistant: the broker %s", error)


def _packed(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":"), sort_keys=True).encode()
