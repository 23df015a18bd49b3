"""Send the views of a camera that is being aimed: only the newest, and none is sent again."""

import logging
import time
from collections.abc import Callable, Sequence

from agent.errors import DeliveryError
from agent.records import Document
from agent.transport.base import Transport

log = logging.getLogger(__name__)

REST_S = 5.0
"""Seconds without an attempt after a failure. Sessions are delivered meanwhile."""


class Views:
    """Reads views with `read`, which returns None if nobody aims."""

    def __init__(
        self,
        read: Callable[[], Document | None],
        transports: Sequence[Transport],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._transports = transports
        self._clock = clock
        self._sent: object = None
        self._rests_until_s = clock()

    def send(self) -> bool:
        """Send the newest view if it is new. Return whether somebody aims."""
        view = self._read()
        if view is None:
            self._sent = None
        elif view.get("number") != self._sent and self._clock() >= self._rests_until_s:
            self._sent = view.get("number")
            self._send(view)
        return view is not None

    def _send(self, view: Document) -> None:
        try:
            if not any(transport.show(view) for transport in self._transports):
                log.debug("no transport can send views now")
        except DeliveryError as error:
            log.debug("a view was not sent: %s", error)
            self._rests_until_s = self._clock() + REST_S
