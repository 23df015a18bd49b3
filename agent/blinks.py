"""EyeSample -> Blink: the closures that opened again.

state      event     next      does
open       low       closed    a closure begins
open       high      open      learns the open level
closed     low       closed
closed     high      open      a closure ends: a blink, a long closure, or too soon after the last
any        no face   lost      a closure in which the face is lost is dropped
lost       low       lost      re-armed only after having been seen open
lost       high      open
"""

from dataclasses import dataclass
from typing import Literal

from agent.openness import Levels, trusted_ear
from agent.records import Blink, EyeSample

CLOSES_BELOW = 0.70
REOPENS_ABOVE = 0.80
REFRACTORY_S = 0.15
LONG_S = 0.5
COMPLETE_AMPLITUDE = 0.7


@dataclass
class _Closure:
    start_s: float
    end_s: float
    lowest: float


class BlinkDetector:
    """Finds blinks in samples that arrive in the order of time. Times are in seconds."""

    def __init__(self) -> None:
        self.levels = Levels()
        self._state: Literal["open", "closed", "lost"] = "lost"
        self._closure: _Closure | None = None
        self._last_end_s = float("-inf")

    def add(self, sample: EyeSample) -> list[Blink]:
        """The blinks that this sample decides, oldest first."""
        ear = trusted_ear(sample)
        if ear is None:
            self._state, self._closure = "lost", None
            return []
        level = self.levels.open or ear
        if self._state != "closed" and ear >= CLOSES_BELOW * level:
            self.levels.add(sample.time_s, ear)
            self._state = "open"
            return []
        if self._state == "open":
            self._state = "closed"
            self._closure = _Closure(sample.time_s, sample.time_s, ear)
        if self._closure is None or ear < REOPENS_ABOVE * level:
            self._deepen(sample.time_s, ear)
            return []
        return self._reopen()

    def finish(self) -> list[Blink]:
        """The end of the samples: what is still closed has not opened again and is no blink."""
        self._state, self._closure = "lost", None
        return []

    def _deepen(self, time_s: float, ear: float) -> None:
        if self._closure is not None:
            self._closure.end_s = time_s
            self._closure.lowest = min(self._closure.lowest, ear)

    def _reopen(self) -> list[Blink]:
        closure, self._closure, self._state = self._closure, None, "open"
        assert closure is not None
        if closure.start_s - self._last_end_s < REFRACTORY_S:
            return []
        self._last_end_s = closure.end_s
        duration_s = closure.end_s - closure.start_s
        amplitude = self.levels.closure(closure.lowest)
        complete = amplitude >= COMPLETE_AMPLITUDE
        long = duration_s >= LONG_S
        return [Blink(closure.start_s, closure.end_s, duration_s, amplitude, complete, long)]
