"""Keep what was set on the server for this device in the store, where `watch` finds it.

Settings are retained by the broker. A transport that has to be asked is asked seldom: they change
seldom, and a device keeps them.
"""

import logging
import time
from collections.abc import Callable, Sequence

from agent.errors import DeliveryError
from agent.records import SETTINGS, DeviceSettings, Document, Store
from agent.transport.base import Transport

log = logging.getLogger(__name__)

FIRST_S = 1.0
"""As for commands: the broker may be connected by then."""

ASK_S = 600.0
"""How often to ask while nothing arrives unasked: who changes a setting waits ten minutes."""

CHECK_S = 3600.0
"""How often to ask while commands arrive unasked: a broker may not let settings through."""

AFTER_FAILURE_S = 300.0


class Settings:
    """Takes the settings of `device` from all transports.

    They are untrusted: invalid ones, those of another device and older ones are ignored. Settings
    that are still kept for another device end here.
    """

    def __init__(
        self,
        store: Store,
        transports: Sequence[Transport],
        device: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._transports = transports
        self._device = device
        self._clock = clock
        self._ask_s = clock() + FIRST_S
        self._waiting: Document | None = None  # the newest, until the store has taken it
        self._checked = False  # whether the kept settings are this device's
        self._problem = ""

    def take(self) -> None:
        """Take the settings that have arrived; ask for them if it is time to. Raises StoreError."""
        if not self._checked:
            self._end_others()
            self._checked = True
        for transport in self._transports:
            if transport.ask_s is None:
                self._receive(transport)
        if self._clock() >= self._ask_s:
            self._ask()
        if self._waiting is not None:
            self._keep(self._waiting)
            self._waiting = None

    def _ask(self) -> None:
        listening = any(transport.listening for transport in self._transports)
        self._ask_s = self._clock() + (CHECK_S if listening else ASK_S)
        for transport in self._transports:
            if transport.ask_s is None:
                continue
            try:
                self._receive(transport)
                self._problem = ""
            except DeliveryError as error:
                wait_s = max(AFTER_FAILURE_S, error.retry_after_s or 0.0)
                self._ask_s = self._clock() + min(wait_s, CHECK_S)
                if str(error) != self._problem:
                    log.warning("can't ask for settings over %s: %s", transport.name, error)
                self._problem = str(error)

    def _receive(self, transport: Transport) -> None:
        if (told := transport.settings()) is not None:
            self._waiting = told

    def _end_others(self) -> None:
        kept = DeviceSettings.read(self._store.noted(SETTINGS))
        if kept is not None and kept.device != self._device:
            log.info("the settings of another device end")
            self._store.note(SETTINGS, None)

    def _keep(self, told: Document) -> None:
        settings = DeviceSettings.read(told)
        if settings is None or settings.device != self._device:
            log.warning("ignoring settings that are invalid, or another device's")
            return
        kept = DeviceSettings.read(self._store.noted(SETTINGS))
        if kept is None or kept.version < settings.version:
            self._store.note(SETTINGS, settings.as_json())
            log.info("settings of version %d", settings.version)
