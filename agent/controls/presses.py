"""Button presses: one state machine for a contact on a GPIO and a key of a USB button.

    up --down, stable for DEBOUNCE_S--> pressed --up, stable--> "start", up
                                           |
                                           +--long enough--> "stop", held --up, stable--> up
                                           |
                                           +--unplugged--> up

    held for another STUCK_S --> stuck --up, stable--> up

A long press counts as soon as it is long enough, so that the light can react while the button is
still down. A short press counts on release. Unplugging a button is not a press. A stuck button
blocks neither the other button nor the light.
"""

import contextlib
import logging
import os
import queue
import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from agent.errors import ControlsError

log = logging.getLogger(__name__)

Action = Literal["start", "stop"]

DEBOUNCE_S = 0.02  # push buttons bounce for a few milliseconds, seldom for more than ten
QUIET_S = 1.0  # how often to look for a button that was plugged in again
HELD_S = 0.05  # how often to poll a pressed button, in case the edge of its release was lost
STUCK_S = 10.0  # beyond a long press; nobody presses this long on purpose


class Source(Protocol):
    """A button."""

    def fileno(self) -> int:
        """Return a file descriptor that is readable after a change; -1 while there is none."""

    def down(self) -> bool | None:
        """Read all changes and return whether the button is pressed; None while it is missing."""

    def close(self) -> None:
        """Release the button."""


class Contact:
    """A contact. `edge` is called on each change, from any thread; `level` reads its state."""

    def __init__(self, level: Callable[[], bool]) -> None:
        self._level = level
        self._changes = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def edge(self) -> None:
        """Signal that the contact opened or closed. Repeated calls are harmless."""
        with contextlib.suppress(OSError):  # closed in the meantime
            os.eventfd_write(self._changes, 1)

    def fileno(self) -> int:
        """Return a file descriptor that is readable after an edge."""
        return self._changes

    def down(self) -> bool:
        """Return whether the contact is closed."""
        with contextlib.suppress(BlockingIOError):  # no edge since the last call
            os.eventfd_read(self._changes)
        return self._level()

    def close(self) -> None:
        """Close the file descriptor."""
        changes, self._changes = self._changes, -1
        if changes >= 0:
            os.close(changes)


class Presses:
    """Watches `sources` in its own thread.

    `feedback` is called with True when a press begins and with False when it ends, within
    DEBOUNCE_S.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        long_press_s: float,
        feedback: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._sources = sources
        self._long_press_s = long_press_s
        self._feedback = feedback
        self._stuck: set[Source] = set()
        self._end = Contact(lambda: True)
        self._closed = threading.Event()
        self._actions: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="button", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float) -> Action | None:
        """Return the next action, or None after `timeout_s` seconds.

        Raises ControlsError if the thread that watches the button has died.
        """
        try:
            return self._actions.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            if self._thread.is_alive() or self._closed.is_set():
                return None
        raise ControlsError("the thread that watches the button died")

    def close(self) -> None:
        """End the thread, then release the sources."""
        self._closed.set()
        self._end.edge()
        self._thread.join(QUIET_S + 1)
        for each in (self._end, *self._sources):
            each.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            for source in self._sources:
                if source in self._stuck:
                    if not self._pressed(source):
                        self._stuck.discard(source)
                elif source.down() and self._settled(source):
                    self._follow(source)
            self._wait(self._sources, QUIET_S)

    def _follow(self, source: Source) -> None:
        """Follow a press to its end."""
        self._feedback(True)
        until_s = time.monotonic() + self._long_press_s
        while (pressed := self._pressed(source)) and time.monotonic() < until_s:
            self._wait([source], min(HELD_S, max(0.0, until_s - time.monotonic())))
        if pressed is not None and not self._closed.is_set():
            self._actions.put("stop" if pressed else "start")
        until_s = time.monotonic() + STUCK_S
        while pressed and time.monotonic() < until_s:
            self._wait([source], HELD_S)
            pressed = self._pressed(source)
        if pressed:
            self._stuck.add(source)
            log.warning("a button is held down for too long: is it stuck?")
        self._feedback(False)

    def _pressed(self, source: Source) -> bool | None:
        """Return whether the button is still pressed, after any bouncing; None if it is missing."""
        if self._closed.is_set():
            return None
        return source.down() or self._settled(source)

    def _settled(self, source: Source) -> bool | None:
        self._closed.wait(DEBOUNCE_S)
        return source.down()

    def _wait(self, sources: Sequence[Source], timeout_s: float) -> None:
        """Wait for a change of one of `sources`, or for the end."""
        poll = select.poll()
        for each in (self._end, *sources):
            if each.fileno() >= 0:
                poll.register(each.fileno(), select.POLLIN)
        poll.poll(1000 * timeout_s)
