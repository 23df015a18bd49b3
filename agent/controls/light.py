"""The status light: what each state looks like, and the thread that plays it.

The patterns differ in rhythm alone, so that they can be told apart in the dark, from the side, and
by whoever sees no colours: one wink, two winks, three flashes; steady; slow; fast.
"""

import itertools
import logging
import math
import threading
from collections.abc import Callable, Iterator
from typing import Literal

log = logging.getLogger(__name__)

LightState = Literal[
    "ready", "starting", "measuring", "unseen", "finishing", "waiting", "fault", "off"
]
Pattern = tuple[float, ...]

_BUSY = (0.1, 0.1)

# Seconds lit, dark, lit, dark, ..., again and again.
LIGHT: dict[LightState, Pattern] = {
    "ready": (0.05, 2.95),  # one wink: alive, and dark enough for a bedroom
    "waiting": (0.05, 0.25, 0.05, 2.65),  # two winks: ready, and something waits for the network
    "fault": (0.15, 0.15, 0.15, 0.15, 0.15, 1.25),  # three flashes and a rest
    "starting": _BUSY,  # a fast flicker: one moment
    "finishing": _BUSY,
    "measuring": (math.inf,),
    "unseen": (0.5, 0.5),  # calm blinking: I can't see you
    "off": (),
}

ANSWER_S = 0.1  # how long a press turns the light over, whatever it shows: long enough to be seen
WAIT_S = 60.0  # at most, of a light that does not change


def lit_share(state: LightState) -> float:
    """How much of the time the light is lit, 0 to 1."""
    pattern = LIGHT[state]
    if math.inf in pattern or not pattern:
        return float(bool(pattern))
    return sum(pattern[::2]) / sum(pattern)


class Light:
    """Plays the patterns on one LED; `write` lights it or puts it out.

    While the button is down the light is the other way round than it mostly is: lit when dark, dark
    when lit. A light that breaks ends no session: it is said, once.
    """

    def __init__(self, write: Callable[[bool], None]) -> None:
        self._write = write
        self._news = threading.Condition()
        self._state: LightState = "off"
        self._pressed = False
        self._lit = False
        self._broken = False
        self._turn = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="light", daemon=True)
        self._thread.start()

    def show(self, state: LightState) -> None:
        """Plays `state` from now on."""
        with self._news:
            if state != self._state:
                self._state, self._pressed = state, False
                self._changed()

    def answer(self, pressed: bool) -> None:
        """The button went down, or up: seen at once, whatever is shown."""
        with self._news:
            if pressed != self._pressed:
                self._pressed = pressed
                self._changed()

    def close(self) -> None:
        """Puts it out and ends the thread."""
        with self._news:
            self._closed = True
            self._changed()
        self._thread.join(1.0)

    def _changed(self) -> None:
        self._turn += 1
        self._news.notify_all()

    def _run(self) -> None:
        with self._news:
            while not self._closed:
                self._play(self._turn)
            self._set(False)

    def _play(self, turn: int) -> None:
        """Until there is something else to play."""
        for lit, seconds in self._steps():
            self._set(lit)
            if self._news.wait_for(lambda: self._turn != turn, min(seconds, WAIT_S)):
                return

    def _steps(self) -> Iterator[tuple[bool, float]]:
        if self._pressed:
            yield not self._lit, ANSWER_S
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
            except Exception as error:  # lgpio's own is no standard type
                if not self._broken:
                    log.error("the light can't be set: %s", error)
                self._broken = True
