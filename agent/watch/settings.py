"""Read what was set on the server, which `sync` keeps in the store: no network is needed."""

import logging

from agent.errors import StoreError
from agent.records import SETTINGS, DeviceSettings, Store

log = logging.getLogger(__name__)


def remind_below(store: Store) -> float | None:
    """Return the blink rate below which to remind, in blinks a minute; None for never.

    Settings that can't be read have no effect.
    """
    try:
        kept = DeviceSettings.read(store.noted(SETTINGS))
    except StoreError as error:  # no reason to end the session
        log.debug("can't read the settings: %s", error)
        return None
    return None if kept is None else kept.remind_below_per_min
