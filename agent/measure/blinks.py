"""EyeSample -> Blink: dips of the EAR that recover, measured against the level around them.

A sample that is the lowest within `REFRACTORY_S` on both sides may be the deepest point of a
closure. Half a second later it is measured (`dips.measure_dip`) and classified:

    class     not counted because
    --------  ---------------------------------------------------------------------------------
    lost      the face or frames are missing within it
    same      it lies within the closure before it: a new blink needs reopened lids
    lowered   the lids recovered less than `MIN_RECOVERY` of the way: a look down
    droop     it is wide but incomplete: a look down and up again, a squint
    shallow   it is less than `MIN_AMPLITUDE` of the person's own depth, or within the noise
    squint    neither eye closes by `DEEPER_EYE`
    blink     (counted, and its depth updates the closed level)

Closures too long for that look-ahead are followed by the person's levels alone (`LongClosures`).
All values are in seconds, none in frames. Memory is constant.
"""

import math
from bisect import bisect_left
from collections import deque
from dataclasses import replace
from typing import Literal

from agent.measure.dips import (
    LEVEL_WINDOW_S,
    LOOK_AHEAD_S,
    MAX_GAP_S,
    MIN_DEPTH,
    SHUT,
    Dip,
    Recent,
    measure_dip,
    reopened_s,
)
from agent.measure.levels import Levels, trusted_ear
from agent.records import Blink, EyeSample

REFRACTORY_S = 0.2
"""Minimum time between the deepest points of two blinks: nobody blinks five times a second."""

MIN_AMPLITUDE = 0.51
"""Just over half way to the closed level: frowns and squints stay below it (bench.accuracy)."""

DEEPER_EYE = 0.5
"""In a blink at least one eye falls by half of its own level; in squints and frowns both fall by
less. For people who blink less deeply, a quarter more than the least depth is required instead. If
an eye isn't seen, nothing is required."""

LEARN_SIGMAS = 6.0
"""A dip that is certainly not noise updates the closed level, whether counted or not."""

NOISE_SIGMAS = 4.0
"""Noise alone seldom stays this far out for most of a frame."""

MIN_RECOVERY = 0.3
"""Lids recover after a blink, though often to a lower gaze."""

MAX_WIDTH_S = 0.8
"""Widest dip that the look-ahead covers completely."""

MAX_DROOP_S = 0.42
"""An incomplete blink is short: 0.1-0.4 s is the published duration of blinks."""

COMPLETE_AMPLITUDE = 0.85
"""Share of the person's usual blink depth: between 0.7 and 1.0 of known depths (bench.grid)."""

WIDE_AMPLITUDE = 0.75
"""A dip of this share of the usual depth is no squint, so its width is not limited."""

REOPENED = 0.5
"""Lids that are half way up count as reopened."""

LONG_S = 0.5
"""Closures that stay shut for 500 ms or more are counted separately. The server names it too:
`server/session_data/export/`, `server/dashboard/metrics.py` and `server/alerts/`."""

FLUTTER_S = 0.1
"""Lids that leave the shut position for less than this, shorter than a blink, stayed shut."""


class BlinkDetector:
    """Finds the blinks in samples that arrive in order of time."""

    def __init__(self) -> None:
        self.levels = Levels()
        self._recent = Recent()
        self._long = LongClosures(self.levels)
        self._asked_s = -math.inf  # all samples before this were tested for being the deepest
        self._pending: deque[float] = deque()  # deepest points that wait for their look-ahead
        self._last_end_s = -math.inf

    def add(self, sample: EyeSample) -> list[Blink]:
        """Return the events that this sample decides, oldest first, up to half a second late.

        A sample that is not later than the one before it is ignored.
        """
        now_s = sample.time_s
        if now_s <= self._recent.last_s:
            return []
        ear = trusted_ear(sample)
        self._recent.add(now_s, ear, sample.ear_left, sample.ear_right)
        if ear is not None:
            self.levels.add(now_s, ear)
        closure = self._long.add(now_s, ear)
        events = [] if closure is None else [self._new(closure)]
        self._look_for_dips(now_s - REFRACTORY_S)
        while self._pending and self._is_ready(self._pending[0]):
            events += self._judge(self._pending.popleft())
        return events

    def finish(self) -> list[Blink]:
        """Judge the pending dips by the samples so far and return their blinks. Call this last."""
        self._look_for_dips(self._recent.last_s)
        events = [blink for deepest_s in self._pending for blink in self._judge(deepest_s)]
        self._pending.clear()
        return events

    def _look_for_dips(self, until_s: float) -> None:
        """Test the samples up to `until_s`, whose neighbours are known, for being the deepest."""
        times, ears = self._recent.times, self._recent.ears
        for index in range(max(1, bisect_left(times, self._asked_s)), len(times)):
            if times[index] > until_s:
                return
            self._asked_s = math.nextafter(times[index], math.inf)
            if ears[index] < ears[index - 1] and self._is_lowest(index):
                self._pending.append(times[index])

    def _is_lowest(self, index: int) -> bool:
        before = self._recent.before(index, REFRACTORY_S)
        after = self._recent.after(index, REFRACTORY_S)
        lowest = self._recent.ears[index]
        return bool(before and after) and min(before) > lowest <= min(after)

    def _is_ready(self, deepest_s: float) -> bool:
        now_s = self._recent.last_s
        if now_s < deepest_s + LOOK_AHEAD_S:
            return False
        reopened = reopened_s(self._recent, deepest_s)
        return reopened is None or now_s >= reopened + LEVEL_WINDOW_S

    def _judge(self, deepest_s: float) -> list[Blink]:
        if deepest_s <= self._last_end_s:
            return []
        dip = measure_dip(self._recent, deepest_s)
        if dip is None or self._is_lowered_or_droop(dip):
            return []
        blink, least_depth = self._blink(dip), self._least_depth(dip.noise)
        if dip.noise is not None and dip.depth >= LEARN_SIGMAS * dip.noise:
            self.levels.learn_depth(dip.depth)
        if dip.depth < least_depth or _deeper_eye(blink) < min(DEEPER_EYE, 1.25 * least_depth):
            return []
        self._long.was_open_at(dip.first_s)
        self.levels.learn_open(dip.level)
        return [self._new(blink)]

    def _is_lowered_or_droop(self, dip: Dip) -> bool:
        deep = dip.depth >= WIDE_AMPLITUDE * self.levels.depth
        widest_s = MAX_WIDTH_S if deep else MAX_DROOP_S
        return dip.recovery < MIN_RECOVERY or dip.width_s > widest_s

    def _least_depth(self, noise: float | None) -> float:
        """Return the minimum depth of a closure that counts."""
        return max(MIN_DEPTH, NOISE_SIGMAS * (noise or 0.0), MIN_AMPLITUDE * self.levels.depth)

    def _blink(self, dip: Dip) -> Blink:
        amplitude, recent = dip.depth / self.levels.depth, self._recent
        return Blink(
            start_s=dip.first_s,
            end_s=dip.last_s,
            duration_s=dip.duration_s,
            amplitude=min(1.0, amplitude),
            complete=amplitude >= COMPLETE_AMPLITUDE,
            long=dip.shut_s >= LONG_S,
            closure_left=recent.closure(recent.lefts, dip.first_s, dip.last_s),
            closure_right=recent.closure(recent.rights, dip.first_s, dip.last_s),
        )

    def _new(self, blink: Blink) -> Blink:
        """Return the event with its start moved after the end of the event before it."""
        start_s = blink.start_s
        if start_s <= self._last_end_s:
            start_s = self._recent.next_s(self._last_end_s)
        self._last_end_s = blink.end_s
        return replace(blink, start_s=start_s)


def _deeper_eye(blink: Blink) -> float:
    """Return how far the more closed eye closed, 0..1; infinity if an eye wasn't seen."""
    left, right = blink.closure_left, blink.closure_right
    return math.inf if left is None or right is None else max(left, right)


LidState = Literal["lost", "open", "shut"]
LidEvent = Literal["reopened", "between", "shut", "slow", "unseen", "blink"]

LID_EVENTS: tuple[LidEvent, ...] = ("reopened", "between", "shut", "slow", "unseen", "blink")
"""What happens to the lids:

reopened, between, shut: they are less than `REOPENED` down, at least `SHUT`, or between the two.
slow: they are on their way up from being shut for longer than `MAX_DROOP_S`.
unseen: no face, or frames are missing. blink: a counted blink began while they seemed shut.
"""


def _row(*after: LidState) -> dict[LidEvent, LidState]:
    return dict(zip(LID_EVENTS, after, strict=True))


LID_STATES: dict[LidState, dict[LidEvent, LidState]] = {
    # state      reopened  between   shut    slow    unseen  blink
    "lost": _row("open",   "lost",  "lost", "lost", "lost", "lost"),
    "open": _row("open",   "open",  "shut", "open", "lost", "open"),
    "shut": _row("open",   "shut",  "shut", "open", "lost", "lost"),
}  # fmt: skip
"""The state of the lids after each event. A closure begins from open to shut and ends from shut to
open. Only reopened lids leave `lost`: a closure whose start wasn't seen has no length."""


class LongClosures:
    """Finds closures that stay shut for `LONG_S` or more, of any length, by the person's levels.

    `LID_STATES` is how it follows the lids. A closure lasts from half way down to half way up, as a
    blink does. If the lids took longer than `MAX_DROOP_S` from half way to shut, or back, they were
    lowered slowly: the closure then starts, or ends, at the shut position.
    """

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._lids: LidState = "lost"
        self._time_s, self._closure = -math.inf, 0.0
        self._fell_s = self._shut_from_s = self._shut_until_s = -math.inf  # between frames
        self._first_s = self._last_s = -math.inf  # times of its frames
        self._longest_s = self._deepest = 0.0

    def add(self, time_s: float, ear: float | None) -> Blink | None:
        """Take one sample; return the closure that ended with it, if any."""
        if ear is None or time_s - self._time_s > MAX_GAP_S:
            self._lids = LID_STATES[self._lids]["unseen"]
        closure = 0.0 if ear is None else self._levels.closure(ear)
        ended = None if ear is None else self._step(time_s, closure)
        self._time_s, self._closure = time_s, closure
        return ended

    def was_open_at(self, time_s: float) -> None:
        """Drop a closure that was shut at `time_s`, when a counted blink began."""
        if self._first_s <= time_s:
            self._lids = LID_STATES[self._lids]["blink"]

    def _step(self, time_s: float, closure: float) -> Blink | None:
        if closure >= REOPENED > self._closure:
            self._fell_s, self._first_s = self._crossed(time_s, closure, REOPENED), time_s
        before = self._lids
        if before == "shut":
            self._follow(time_s, closure)
        event = self._event(time_s, closure)
        self._lids = LID_STATES[before][event]
        if before == "open" and self._lids == "shut":
            self._begin(time_s, closure)
        elif before == "shut" and self._lids == "open":
            return self._end(time_s, closure, slow=event == "slow")
        return None

    def _event(self, time_s: float, closure: float) -> LidEvent:
        if closure >= SHUT:
            return "shut"
        reopened = closure < REOPENED
        if self._lids == "shut":
            up_s = self._crossed(time_s, closure, REOPENED) if reopened else time_s
            if up_s - self._shut_until_s > MAX_DROOP_S:
                return "slow"
        return "reopened" if reopened else "between"

    def _begin(self, time_s: float, closure: float) -> None:
        self._longest_s, self._deepest, self._last_s = 0.0, closure, time_s
        self._shut_from_s = self._shut_until_s = self._crossed(time_s, closure, SHUT)
        if self._shut_from_s - self._fell_s > MAX_DROOP_S:
            self._fell_s, self._first_s = self._shut_from_s, time_s

    def _follow(self, time_s: float, closure: float) -> None:
        """Measure how deep and for how long the lids are shut."""
        self._deepest = max(self._deepest, closure)
        if self._closure >= SHUT:
            self._shut_until_s = time_s if closure >= SHUT else self._crossed(time_s, closure, SHUT)
            self._longest_s = max(self._longest_s, self._shut_until_s - self._shut_from_s)
        elif closure >= SHUT and time_s - self._shut_until_s > FLUTTER_S:
            self._shut_from_s = self._crossed(time_s, closure, SHUT)
        if closure >= SHUT:
            self._last_s = time_s

    def _end(self, time_s: float, closure: float, *, slow: bool) -> Blink | None:
        if self._longest_s < LONG_S:
            return None
        end_s = self._shut_until_s if slow else self._crossed(time_s, closure, REOPENED)
        return Blink(
            start_s=self._first_s,
            end_s=self._last_s if slow else self._time_s,
            duration_s=end_s - self._fell_s,
            amplitude=min(1.0, self._deepest),
            complete=True,
            long=True,
        )

    def _crossed(self, time_s: float, closure: float, level: float) -> float:
        """Return when `level` was crossed between the sample before and this one, in seconds."""
        if self._closure == closure:
            return time_s
        share = (level - self._closure) / (closure - self._closure)
        return self._time_s + share * (time_s - self._time_s)
