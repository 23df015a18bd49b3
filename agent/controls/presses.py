"""Button presses: one state machine for a contact on a GPIO and a key of a USB button.

A long press acts while the button is still down, so that the light can react. After ten seconds
the same press also asks the camera to look for codes. A short press acts once it is clear that no
second one follows. A double press acts on its second release. Unplugging a button is not a press.
A stuck button blocks neither the other buttons nor the light.
"""

import contextlib
import logging
import math
import os
import queue
import select
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent.errors import ControlsError

log = logging.getLogger(__name__)

Action = Literal["start", "start activity", "stop", "check", "codes"]
"""What a press asks for. A short press of the second button is `start activity`; its other presses
act as on the first button."""

DEBOUNCE_S = 0.02  # push buttons bounce for a few milliseconds, seldom for more than ten
QUIET_S = 1.0  # how often to look for a button that was plugged in again
DOUBLE_S = 0.5  # as on desktops: the second press of a double press begins within this
HELD_S = 0.05  # how often to poll a pressed button, in case the edge of its release was lost
CODES_S = 10.0  # a press this long asks for codes: too long for a mistake, short enough to hold
LEAST_S = 0.1  # shortest time from `stop` to `codes`, if `long_press_s` is about CODES_S
STUCK_S = 10.0  # after `codes`, so 20 s in all: nobody presses this long on purpose


State = Literal["up", "pressed", "once", "again", "held", "held on", "stuck"]
Event = Literal["down", "up", "unplugged", "single", "long", "very long", "too long"]

TRANSITIONS: dict[State, dict[Event, tuple[State, Action | None]]] = {
    "up": {
        "down": ("pressed", None),
    },
    "pressed": {
        "up": ("once", None),
        "unplugged": ("up", None),
        "long": ("held", "stop"),
    },
    "once": {
        "down": ("again", None),
        "single": ("up", "start"),
        "unplugged": ("up", "start"),
    },
    "again": {
        "up": ("up", "check"),
        "unplugged": ("up", None),
        "long": ("held", "stop"),
    },
    "held": {
        "up": ("up", None),
        "unplugged": ("up", None),
        "very long": ("held on", "codes"),
    },
    "held on": {
        "up": ("up", None),
        "unplugged": ("up", None),
        "too long": ("stuck", None),
    },
    "stuck": {
        "up": ("up", None),
        "unplugged": ("up", None),
    },
}
"""The next state of a button and the action after each event; any other event changes nothing.

`down` and `up` are stable for DEBOUNCE_S. `single`: no second press within DOUBLE_S. `long`:
pressed for a long press. `very long`: pressed for CODES_S. `too long`: held for another STUCK_S.
"""

FELT: tuple[State, ...] = ("pressed", "again", "held", "held on")
"""The states in which a finger is on the button."""


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


@dataclass(slots=True)
class _Button:
    """A button: its state, the monotonic time of its last event, and what a short press does."""

    source: Source
    short: Action = "start"
    state: State = "up"
    since_s: float = field(default_factory=time.monotonic)


class Presses:
    """Watches `sources`, and `second` if there is a second button, in its own thread.

    `feedback` is called with True when any button is pressed, and with False when none is pressed
    or the pressed one is stuck. The call follows about DEBOUNCE_S after the edge.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        long_press_s: float,
        feedback: Callable[[bool], None] = lambda _: None,
        second: Source | None = None,
    ) -> None:
        self._buttons = [_Button(source) for source in sources]
        if second is not None:
            self._buttons.append(_Button(second, "start activity"))
        self._long_press_s = long_press_s
        self._feedback = feedback
        self._felt = False
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
        for each in (self._end, *(button.source for button in self._buttons)):
            each.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            for button in self._buttons:
                event = self._event(button)
                if event is not None and not self._closed.is_set():
                    self._step(button, event)
            self._wait(min(map(self._due_s, self._buttons), default=QUIET_S))
        self._feel(False)

    def _step(self, button: _Button, event: Event) -> None:
        before = button.state
        button.state, action = TRANSITIONS[before].get(event, (before, None))
        button.since_s = time.monotonic()
        if action is not None:
            self._actions.put(button.short if action == "start" else action)
        if button.state == "stuck":
            log.warning("a button is held down for too long: is it stuck?")
        self._feel(any(each.state in FELT for each in self._buttons))

    def _event(self, button: _Button) -> Event | None:
        """Return what happened to a button, if anything, once it no longer bounces."""
        if button.state in ("up", "once"):
            return self._event_while_up(button)
        down = button.source.down() or self._settled(button.source)
        if not down:
            return "unplugged" if down is None else "up"
        limit_s, event = self._limit(button.state)
        return event if time.monotonic() - button.since_s >= limit_s else None

    def _event_while_up(self, button: _Button) -> Event | None:
        down = button.source.down()
        if down and self._settled(button.source):
            return "down"
        if button.state == "up":
            return None
        if down is None:
            return "unplugged"
        return "single" if time.monotonic() - button.since_s >= DOUBLE_S else None

    def _due_s(self, button: _Button) -> float:
        """Return in how many seconds to look at a button again if nothing changes."""
        if button.state in ("up", "stuck"):
            return QUIET_S
        limit_s, _ = self._limit(button.state)
        return max(0.0, min(HELD_S, button.since_s + limit_s - time.monotonic()))

    def _limit(self, state: State) -> tuple[float, Event | None]:
        """Return how long a state may last, in seconds, and the event after it."""
        limits: dict[State, tuple[float, Event]] = {
            "pressed": (self._long_press_s, "long"),
            "once": (DOUBLE_S, "single"),
            "again": (self._long_press_s, "long"),
            "held": (max(LEAST_S, CODES_S - self._long_press_s), "very long"),
            "held on": (STUCK_S, "too long"),
        }
        return limits.get(state, (math.inf, None))

    def _settled(self, source: Source) -> bool | None:
        self._closed.wait(DEBOUNCE_S)
        return source.down()

    def _feel(self, felt: bool) -> None:
        if felt != self._felt:
            self._felt = felt
            self._feedback(felt)

    def _wait(self, timeout_s: float) -> None:
        """Wait for a change of a button, or for the end."""
        poll = select.poll()
        for each in (self._end, *(button.source for button in self._buttons)):
            if each.fileno() >= 0:
                poll.register(each.fileno(), select.POLLIN)
        poll.poll(1000 * timeout_s)
