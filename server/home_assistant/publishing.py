"""The consumer's part: what Home Assistant is to know is brought to the broker, and kept true.

Every few seconds what is retained is compared with what it should be, and after each batch for the
devices that were in it. So opting in and out, renaming, giving a device away, revoking and deleting
need no call of their own. A broker that does not allow it costs nothing but this.
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

# Each waits for the broker's word; documents wait meanwhile. The rest comes the next time.
MOST_AT_ONCE = 100


class HomeAssistant:
    """For one connection to the broker. Raises `django.db.Error` while the database is away."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._said: dict[str, bytes] = {}
        self._shown: set[UUID] = set()
        self._left = 0
        self._refused = False

    @property
    def shows_any(self) -> bool:
        """Whether there is any device to show, as far as the last look round knows."""
        return bool(self._shown) and not self._refused

    def look_round(self) -> None:
        """Make all that is retained what it should be."""
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
        """Bring the states of these devices up to date, where they are shown."""
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
            # The state first: whoever hears of the entities finds their values.
            self._say(home_topic(device.pk, "state"), _packed(told[device.pk]))
            self._say(home_topic(device.pk, "availability"), there.encode())
            self._say(config_topic(device.pk), _packed(config))

    def _withdraw(self, row: Shown) -> None:
        """Take what is retained from the broker; then there is nothing to remember."""
        for topic in topics(row.device_id):
            self._say(topic, b"")
            if self._said.get(topic) != b"":
                return  # not now: the row stays
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
        """Until the next connection: where that is what failed, the consumer notices by itself."""
        self._refused = True
        log.warning("nothing is shown in Home Assistant: the broker %s", error)


def _packed(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":"), sort_keys=True).encode()
