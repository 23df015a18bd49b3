"""Measures a dip of the EAR: its level, depth, edges and the noise before it.

    level     the 0.7 quantile of EAR within `LEVEL_WINDOW_S` before the lids fell and after they
              rose, the lower of the two: looking down, a jump cut or a smile make no dip
    floor     the lowest EAR that was held for `HOLD_S`: a single noisy frame is no closure
    depth     1 - floor / level: independent of scale, so of camera and person

The lids are assumed to move linearly between two frames. All widths and durations are therefore
finer than a frame, and nearly the same at every frame rate.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from agent.measure.levels import quantile

LOOK_AHEAD_S = 0.6
"""How far a closure extends from its deepest point: half a second shut, plus its edges."""

LEVEL_WINDOW_S = 0.45
"""Long enough for the lids to recover, which takes up to 0.3 s; no longer than a gaze rests."""

LEVEL_QUANTILE = 0.7
"""Quantile of the samples around a dip, half of which may belong to the next one."""

MIN_DEPTH = 0.28
"""Frowns and squints lower EAR by up to 0.4, mostly less; the jitter of still eyes reaches 0.1."""

HOLD_S = 0.02
"""At 30 frames per second lids stay down for most of a frame at least; noise and glints don't."""

EDGE = 0.2
"""A closure begins and ends a fifth of its depth below the level, clear of the noise."""

SHUT = 0.8
"""At least 80 % closed, as `PERCLOS_CLOSED` in `metrics`; a change there needs one here."""

MAX_GAP_S = 0.25
"""Frames further apart, about the length of a blink, don't show what happened between them."""

NOISE_MEMORY_S = 4.0
"""Noise changes within seconds: motion blur, a turning head."""

MIN_NOISE_SAMPLES = 6
"""Fewer second differences of the trace are not enough to estimate noise."""

MIN_LEVEL_SAMPLES = 2
"""A single sample is not enough for a level."""

ROUNDING_S = 1e-6
"""Tolerance for rounded times: a frame exactly one window away lies within the window."""

KEEP_S = NOISE_MEMORY_S + 4.0
"""The noise before a closure, the closure, and the samples after it until it is judged."""

_MEDIAN_TO_SIGMA = 1.4826 / math.sqrt(6)
"""Converts the median of |x0 - 2 x1 + x2| to the standard deviation of x, for normal noise. A
trend has no effect."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time around a sample in which EAR stays below a level, interpolated and in frames.

    `whole` is False if the face or frames are missing at one of its edges.
    """

    start_s: float
    end_s: float
    first: int
    last: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Dip:
    """A dip of the EAR. Times are those of the samples, in seconds.

    first_s, last_s: its first and last frame. depth: a share of the level, 0..1. recovery: share of
    the fall that was regained. width_s, duration_s, shut_s: how long EAR is below the level by at
    least `EDGE`, half and `SHUT` of the depth. noise: standard deviation of the EAR before it, as a
    share of the level; None if unknown.
    """

    deepest_s: float
    first_s: float
    last_s: float
    level: float
    depth: float
    recovery: float
    width_s: float
    duration_s: float
    shut_s: float
    noise: float | None


class Recent:
    """The last `KEEP_S` of a trace: times in seconds and EAR, NaN without a face.

    `lefts` and `rights` hold the EAR of each eye, NaN if it isn't seen.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.ears: list[float] = []
        self.lefts: list[float] = []
        self.rights: list[float] = []

    @property
    def last_s(self) -> float:
        """The time of the newest sample; minus infinity before the first."""
        return self.times[-1] if self.times else -math.inf

    def add(
        self, time_s: float, ear: float | None, left: float | None, right: float | None
    ) -> None:
        """Add a sample later than `last_s`. Old samples are dropped in large, cheap steps."""
        self.times.append(time_s)
        self.ears.append(math.nan if ear is None else ear)
        self.lefts.append(math.nan if left is None else left)
        self.rights.append(math.nan if right is None else right)
        if self.times[0] < time_s - 2 * KEEP_S:
            old = bisect_left(self.times, time_s - KEEP_S)
            del self.times[:old], self.ears[:old], self.lefts[:old], self.rights[:old]

    def before(self, index: int, duration_s: float) -> list[float]:
        """Return EAR of the samples with a face within `duration_s` before the sample `index`."""
        first = bisect_left(self.times, self.times[index] - duration_s - ROUNDING_S)
        return [ear for ear in self.ears[first:index] if not math.isnan(ear)]

    def after(self, index: int, duration_s: float) -> list[float]:
        """Return EAR of the samples with a face within `duration_s` after the sample `index`."""
        last = bisect_right(self.times, self.times[index] + duration_s + ROUNDING_S)
        return [ear for ear in self.ears[index + 1 : last] if not math.isnan(ear)]

    def span(self, index: int, level: float) -> Span:
        """Return where EAR stays below `level` around the sample `index`, which is below it."""
        first, start_s, begun = self._edge(index, level, -1)
        last, end_s, ended = self._edge(index, level, 1)
        return Span(start_s, end_s, first, last, begun and ended)

    def closure(self, eye: Sequence[float], start_s: float, end_s: float) -> float | None:
        """Return how far one eye, `lefts` or `rights`, closed between the two times.

        This is 1 minus its lowest EAR over the level around it, 0..1. Return None if the eye wasn't
        seen all the time.
        """
        first, last = bisect_left(self.times, start_s), bisect_right(self.times, end_s)
        before = bisect_left(self.times, start_s - LEVEL_WINDOW_S - ROUNDING_S)
        after = bisect_right(self.times, end_s + LEVEL_WINDOW_S + ROUNDING_S)
        levels = [
            quantile(seen, LEVEL_QUANTILE)
            for part in (eye[before:first], eye[last:after])
            if (seen := sorted(ear for ear in part if not math.isnan(ear)))
        ]
        within = eye[first:last]
        if len(levels) < 2 or any(map(math.isnan, within)) or min(levels) <= 0:
            return None
        return max(0.0, 1 - min(within) / min(levels))

    def nearest(self, time_s: float) -> float:
        """Return the time of the sample nearest to `time_s`."""
        after = bisect_left(self.times, time_s)
        around = self.times[max(0, after - 1) : after + 1]
        return min(around, key=lambda sample_s: abs(sample_s - time_s))

    def next_s(self, time_s: float) -> float:
        """Return the time of the first sample after `time_s`, which isn't the newest."""
        return self.times[bisect_right(self.times, time_s)]

    def _edge(self, index: int, level: float, step: int) -> tuple[int, float, bool]:
        """Return the last sample below `level` in direction `step`, the crossing time, and
        whether it is crossed."""
        times, ears = self.times, self.ears
        while 0 <= index + step < len(ears):
            beyond = index + step
            gap_s = times[beyond] - times[index]
            if math.isnan(ears[beyond]) or abs(gap_s) > MAX_GAP_S:
                break
            if ears[beyond] >= level:
                share = (level - ears[index]) / (ears[beyond] - ears[index])
                return index, times[index] + share * gap_s, True
            index = beyond
        return index, times[index], False


def reopened_s(recent: Recent, deepest_s: float) -> float | None:
    """Return when the lids were half way up again after `deepest_s`; None if there is no dip."""
    found = _rough_span(recent, bisect_left(recent.times, deepest_s))
    return None if found is None else found[1].end_s


def measure_dip(recent: Recent, deepest_s: float) -> Dip | None:
    """Measure the dip that is deepest at the sample of time `deepest_s`.

    Return None if it is shallower than `MIN_DEPTH`, lacks a level on one side, or was not seen
    completely.
    """
    index = bisect_left(recent.times, deepest_s)
    found = _rough_span(recent, index)
    if found is None:
        return None
    floor, rough = found
    before = recent.before(rough.first, LEVEL_WINDOW_S)
    after = recent.after(rough.last, LEVEL_WINDOW_S)
    if min(len(before), len(after)) < MIN_LEVEL_SAMPLES:
        return None
    fell_from = quantile(sorted(before), LEVEL_QUANTILE)
    came_back_to = quantile(sorted(after), LEVEL_QUANTILE)
    level = min(fell_from, came_back_to)
    if 1 - floor / level < MIN_DEPTH:
        return None
    edges = recent.span(index, level - EDGE * (level - floor))
    if not edges.whole:
        return None
    half = recent.span(index, (level + floor) / 2)
    return Dip(
        deepest_s=deepest_s,
        first_s=recent.nearest(edges.start_s),
        last_s=recent.nearest(edges.end_s),
        level=level,
        depth=1 - floor / level,
        recovery=(came_back_to - floor) / (fell_from - floor),
        width_s=edges.end_s - edges.start_s,
        duration_s=half.end_s - half.start_s,
        shut_s=_shut_s(recent, edges, level - SHUT * (level - floor)),
        noise=_noise(recent, edges.first, level),
    )


def _rough_span(recent: Recent, index: int) -> tuple[float, Span] | None:
    """Return the floor, and the span at half depth below the highest EAR in `LOOK_AHEAD_S`."""
    before = recent.before(index, LOOK_AHEAD_S)
    after = recent.after(index, LOOK_AHEAD_S)
    if not before or not after:
        return None
    highest = min(max(before), max(after))
    if 1 - recent.ears[index] / highest < MIN_DEPTH:
        return None
    floor = _held_floor(recent, index, highest)
    return (floor, recent.span(index, (highest + floor) / 2)) if floor < highest else None


def _held_floor(recent: Recent, index: int, highest: float) -> float:
    """Return the lowest level that EAR stays below for `HOLD_S` around `index`, by bisection."""
    low, high = recent.ears[index], highest
    for _ in range(12):  # to a four-thousandth of the depth
        middle = (low + high) / 2
        span = recent.span(index, middle)
        if span.end_s - span.start_s < HOLD_S:
            low = middle
        else:
            high = middle
    return high


def _shut_s(recent: Recent, edges: Span, level: float) -> float:
    """Return how long EAR was below `level` within `edges`, including short flutters."""
    within = range(edges.first, edges.last + 1)
    below = [index for index in within if recent.ears[index] < level]
    if not below:
        return 0.0
    return recent.span(below[-1], level).end_s - recent.span(below[0], level).start_s


def deviation(ears: Sequence[float]) -> float:
    """Return the standard deviation of noise in at least three EAR values of neighbouring frames.

    It is estimated from the median of the second differences, so lid movements and blinks have
    little effect.
    """
    bends = sorted(abs(a - 2 * b + c) for a, b, c in zip(ears, ears[1:], ears[2:], strict=False))
    return _MEDIAN_TO_SIGMA * quantile(bends, 0.5)


def _noise(recent: Recent, index: int, level: float) -> float | None:
    """Return the standard deviation of EAR in `NOISE_MEMORY_S` before `index`, over `level`."""
    ears = recent.before(index, NOISE_MEMORY_S)
    return deviation(ears) / level if len(ears) >= MIN_NOISE_SAMPLES + 2 else None
