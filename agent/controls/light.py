"""The status light: the pattern of each state, and the thread that plays it.

The patterns differ only in rhythm. They can be told apart in the dark, from the side and by people
with colour blindness. `LIGHT` has them all.
"""

import itertools
import logging
import math
import threading
from collections.abc import Callable, Iterator
from typing import Literal

log = logging.getLogger(__name__)

LightState = Literal[
    "ready",
    "starting",
    "measuring",
    "unseen",
    "blink",
    "finishing",
    "unsent",
    "fault",
    "looking",
    "read",
    "joined",
    "enrolled",
    "join failed",
    "enrol failed",
    "off",
    "ask_blink",
    "ask_down",
    "ask_shut",
]
Pattern = tuple[float, ...]

_BUSY = (0.1, 0.1)
_GAP = 0.15  # a short gap in a light that is mostly lit

# Seconds on, off, on, off, ..., repeated.
LIGHT: dict[LightState, Pattern] = {
    "ready": (0.05, 2.95),  # one wink: alive, and dark enough for a bedroom
    "unsent": (0.05, 0.25, 0.05, 2.65),  # two winks: ready, but unsent or not enrolled
    "fault": (0.15, 0.15, 0.15, 0.15, 0.15, 1.25),  # three flashes and a pause
    "starting": _BUSY,  # a fast flicker: please wait
    "finishing": _BUSY,
    "measuring": (math.inf,),
    "unseen": (0.5, 0.5),  # slow blinking: no face in view
    "blink": (1 - _GAP, _GAP),  # lit, and dark for a moment each second, like an eye: please blink
    # Codes: mostly lit, with short gaps that are counted, unlike everything above.
    "looking": (3 - _GAP, _GAP),  # one gap: show a code
    "read": (2.45 - _GAP, _GAP, 0.4, _GAP),  # two: a code was read
    "joined": (1.9 - _GAP, _GAP, 0.4, _GAP, 0.4, _GAP),  # three: Wi-Fi joined
    "enrolled": (3.0, 3.0),  # very slow blinking: done
    "join failed": (0.15, 0.15) * 3 + (0.15, 1.55),  # four flashes: Wi-Fi not joined
    "enrol failed": (0.15, 0.15) * 4 + (0.15, 1.55),  # five flashes: not enrolled
    "off": (),
    # One, two or three long flashes in the dark. A check shows the next state before the pattern
    # repeats.
    "ask_blink": (0.5, 9.5),
    "ask_down": (0.3, 0.3, 0.3, 9.1),
    "ask_shut": (0.3, 0.3, 0.3, 0.3, 0.3, 8.5),
}

FEEDBACK_S = 0.1  # a press first inverts the LED for this long, so that it shows in any state
WAIT_S = 60.0  # longest wait while the light does not change


def lit_share(state: LightState) -> float:
    """Return the share of the time that the light is on, 0 to 1."""
    pattern = LIGHT[state]
    if math.inf in pattern or not pattern:
        return float(bool(pattern))
    return sum(pattern[::2]) / sum(pattern)


class Light:
    """Plays the patterns on one LED. `write` switches the LED on or off.

    While the button is down, the light stays on if the pattern is mostly dark, and off if it is
    mostly lit. A new state ends that, even if the button is still down. An error of the LED is
    logged once and ends no session.
    """

    def __init__(self, write: Callable[[bool], None]) -> None:
        self._write = write
        self._changes = threading.Condition()
        self._state: LightState = "off"
        self._pressed = False
        self._lit = False
        self._broken = False
        self._turn = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="light", daemon=True)
        self._thread.start()

    def show(self, state: LightState) -> None:
        """Show `state` from now on."""
        with self._changes:
            if state != self._state:
                self._state, self._pressed = state, False
                self._changed()

    def feedback(self, pressed: bool) -> None:
        """Confirm at once that the button went down or up."""
        with self._changes:
            if pressed != self._pressed:
                self._pressed = pressed
                self._changed()

    def close(self) -> None:
        """Switch the LED off and end the thread."""
        with self._changes:
            self._closed = True
            self._changed()
        self._thread.join(1.0)

    def _changed(self) -> None:
        self._turn += 1
        self._changes.notify_all()

    def _run(self) -> None:
        with self._changes:
            while not self._closed:
                self._play(self._turn)
            self._set(False)

    def _play(self, turn: int) -> None:
        """Play the current pattern until something changes."""
        for lit, seconds in self._steps():
            self._set(lit)
            if self._changes.wait_for(lambda: self._turn != turn, min(seconds, WAIT_S)):
                return

    def _steps(self) -> Iterator[tuple[bool, float]]:
        if self._pressed:
            yield not self._lit, FEEDBACK_S
            yield from itertools.repeat((lit_share(self._state) < 0.5, math.inf))
        pattern = LIGHT[self._state] or (0.0, math.inf)
        yield from itertools.cycle(
            (number % 2 == 0, seconds) for number, seconds in enumerate(pattern) if seconds > 0
        )

    def _set(self, lit: bool) -> None:
        if lit != self._lit:
            self._lit = lit
            try:
                self._write(lit)
            except Exception as error:  # lgpio's error is not a standard type
                if not self._broken:
                    log.error("the light can't be set: %s", error)
                self._broken = True
