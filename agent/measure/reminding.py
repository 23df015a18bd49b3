"""Reminding: when to ask for blinks, because the rate stays below a bound of the person's own.

    state      event      next state   in this state
    ---------  ---------  -----------  ----------------------------------------------------
    off        on         watching     nothing happens
    watching   low        asking       the rate is compared with the bound
    asking     elapsed    pausing      the light asks, for `ASK_S`
    pausing    elapsed    watching     the rate after asking is measured, for `PAUSE_S`
    any but off  off      off

An event that a state doesn't have raises and changes nothing.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from agent.measure.quality import LOW_COVERAGE, SHORT_S, Flag

WINDOW_S = SHORT_S
"""The rate is that of three valid minutes: a shorter time holds too few blinks for a rate."""

SPAN_S = WINDOW_S / LOW_COVERAGE
"""The longest time in which three valid minutes may lie. As in a session with `low_coverage`, the
rate is not known if more than three tenths of the time were unseen."""

ASK_S = 15.0
"""How long the light asks: long enough to be noticed by somebody who looks elsewhere, and for a few
slow blinks."""

PAUSE_S = 300.0
"""Longer than `SPAN_S`, so that the rate after asking is known before the light asks again. At most
eleven times an hour: a light that asks all the time is soon not noticed any more."""

LOOK_S = 1.0
"""How often the rate is looked at."""

HIDING: frozenset[Flag] = frozenset(
    {"no_face", "no_blink", "frames_dropped", "noisy", "blurred", "second_face"}
)
"""With one of these flags, blinks were probably missed, or are somebody else's."""

State = Literal["off", "watching", "asking", "pausing"]
Event = Literal["on", "off", "low", "elapsed"]

TABLE: dict[tuple[State, Event], State] = {
    ("off", "on"): "watching",
    ("watching", "low"): "asking",
    ("asking", "elapsed"): "pausing",
    ("pausing", "elapsed"): "watching",
    ("watching", "off"): "off",
    ("asking", "off"): "off",
    ("pausing", "off"): "off",
}
LASTS_S: dict[State, float] = {"asking": ASK_S, "pausing": PAUSE_S}


@dataclass(frozen=True, slots=True)
class Tally:
    """The valid seconds and the blinks of a session so far; None if blinks can't be counted."""

    valid_s: float
    blinks: int | None


def tally(valid_s: float, blinks: int | None, quality: Iterable[Flag]) -> Tally:
    """Return the tally of a session with these quality flags."""
    return Tally(valid_s, None if HIDING.intersection(quality) else blinks)


@dataclass(slots=True)
class Reminder:
    """One time that the light asked: since when, in seconds of the session, and the blink rates.

    `rate_before_per_min` is that of the three valid minutes before. `rate_after_per_min` is that of
    the first three within the pause; None if that is not known.
    """

    at_s: float
    rate_before_per_min: float
    rate_after_per_min: float | None = None


class Window:
    """The blink rate over the last three valid minutes."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, float, int]] = deque()

    def clear(self) -> None:
        """Forget what was seen."""
        self._looks.clear()

    def add(self, time_s: float, seen: Tally) -> float | None:
        """Take what was counted up to `time_s`; return the rate in blinks a minute, if it is known.

        A time in which blinks can't be counted ends the three minutes: they begin anew.
        """
        if seen.blinks is None:
            self.clear()
            return None
        looks = self._looks
        looks.append((time_s, seen.valid_s, seen.blinks))
        while len(looks) > 1 and seen.valid_s - looks[1][1] >= WINDOW_S:
            looks.popleft()
        while time_s - looks[0][0] > SPAN_S:
            looks.popleft()
        _, since_s, before = looks[0]
        valid_s = seen.valid_s - since_s
        return 60 * (seen.blinks - before) / valid_s if valid_s >= WINDOW_S else None


class Reminding:
    """Decides, from what a session has counted so far, whether the light asks for blinks."""

    def __init__(self) -> None:
        self.state: State = "off"
        self.reminders: list[Reminder] = []
        self._below_per_min = 0.0
        self._window = Window()
        self._since_s = 0.0
        self._look_s = -math.inf

    @property
    def asking(self) -> bool:
        """Whether the light is to ask for blinks now."""
        return self.state == "asking"

    def remind_below(self, bound_per_min: float | None) -> None:
        """Ask below this rate from now on, in blinks a minute; None for never."""
        if bound_per_min is None:
            if self.state != "off":
                self.step("off")
            return
        self._below_per_min = bound_per_min
        if self.state == "off":
            self._window.clear()
            self.step("on")

    def due(self, time_s: float) -> bool:
        """Return whether `look` is to be called at this time of the session, in seconds."""
        return self.state != "off" and time_s - self._look_s >= LOOK_S

    def look(self, time_s: float, seen: Tally) -> None:
        """Take what the session has counted up to `time_s`, which must not go back."""
        self._look_s = time_s
        rate = self._window.add(time_s, seen)
        if self.state == "watching" and rate is not None and rate < self._below_per_min:
            self.reminders.append(Reminder(time_s, rate))
            self._begin("low", time_s)
        elif self.state == "pausing" and rate is not None:
            self._note_after(rate)
        if time_s - self._since_s >= LASTS_S.get(self.state, math.inf):
            self._begin("elapsed", time_s)

    def step(self, event: Event) -> None:
        """Go to the next state. Raises ValueError for an event that this state doesn't have."""
        try:
            self.state = TABLE[self.state, event]
        except KeyError:
            raise ValueError(f"{event!r} can't happen while {self.state}") from None

    def _begin(self, event: Event, time_s: float) -> None:
        self.step(event)
        self._since_s = time_s
        if self.state == "pausing":  # blinks that were asked for are no rate
            self._window.clear()

    def _note_after(self, rate: float) -> None:
        if self.reminders[-1].rate_after_per_min is None:
            self.reminders[-1].rate_after_per_min = rate
