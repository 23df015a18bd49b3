"""What stands beside a dip of the EAR: its level, depth, edges and the noise around it.

    level     the 0.7 quantile of EAR in `BESIDE_S` before the lids fell and after they rose, the
              lower of the two: looking down, a jump cut or a smile move both and leave no dip
    floor     the lowest EAR that was kept up for `KEPT_UP_S`: a single noisy frame is no closure
    depth     1 - floor / level: free of scale, so neither camera nor person matters

Between two frames the lids are taken to move in a straight line, so all widths and durations are
finer than a frame and nearly the same at every frame rate.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from agent.measure.levels import quantile

LOOK_AHEAD_S = 0.6
"""How far a closure reaches from its deepest moment: half a second shut, and its edges."""

BESIDE_S = 0.45
"""Long enough to see the lids come back, which takes up to 0.3 s; no longer than a gaze rests."""

LEVEL_QUANTILE = 0.7
"""Of the samples beside a dip: they may hold half of the next one."""

MIN_DEPTH = 0.28
"""Frowns and squints lower EAR by up to 0.4, most by less; the jitter of still eyes reaches 0.1."""

KEPT_UP_S = 0.02
"""Lids stay down for most of a frame at 30 a second at least: noise and glints do not."""

EDGE = 0.2
"""A closure begins and ends a fifth of its depth below the level: clear of the noise."""

SHUT = 0.8
"""At least 80 % closed, as in PERCLOS."""

MAX_GAP_S = 0.25
"""Frames further apart, about a blink's length, don't say what lay between them."""

NOISE_MEMORY_S = 4.0
"""Noise comes and goes within seconds: motion blur, a turning head."""

MIN_NOISE_SAMPLES = 6
"""Fewer bends of the trace say nothing about noise."""

MIN_BESIDE_SAMPLES = 2
"""A single sample is no level."""

ROUNDING_S = 1e-6
"""A frame just as far away as a window is long lies within it, however its time is rounded."""

KEEP_S = NOISE_MEMORY_S + 4.0
"""The noise before a closure, the closure, and what follows it until it is judged."""

_MEDIAN_TO_SIGMA = 1.4826 / math.sqrt(6)
"""Median of |x0 - 2 x1 + x2| to standard deviation of x, for normal noise; blind to a trend."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time around a sample in which EAR stays below a level: between frames, and in frames.

    `whole` is false if the face, or frames, are missing at one of its edges.
    """

    start_s: float
    end_s: float
    first: int
    last: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Dip:
    """A dip of the EAR. Times are the samples' own, in seconds.

    first_s, last_s: its first and last frame. depth: a share of the level, 0..1. recovery: the
    share of the fall that was made up again. width_s, duration_s, shut_s: how long it is at least a
    quarter, half and `SHUT` of its own depth. noise: the standard deviation of the EAR before it,
    a share of the level; `None` if it isn't known yet.
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
    """The last `KEEP_S` of a trace: times in seconds, and EAR, NaN where there is no face.

    `lefts` and `rights` are each eye's own, NaN where it isn't seen.
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
        """`time_s` is later than `last_s`. Forgets in large steps: that costs little a sample."""
        self.times.append(time_s)
        self.ears.append(math.nan if ear is None else ear)
        self.lefts.append(math.nan if left is None else left)
        self.rights.append(math.nan if right is None else right)
        if self.times[0] < time_s - 2 * KEEP_S:
            old = bisect_left(self.times, time_s - KEEP_S)
            del self.times[:old], self.ears[:old], self.lefts[:old], self.rights[:old]

    def before(self, index: int, duration_s: float) -> list[float]:
        """EAR of the samples with a face in the `duration_s` before the sample `index`."""
        first = bisect_left(self.times, self.times[index] - duration_s - ROUNDING_S)
        return [ear for ear in self.ears[first:index] if not math.isnan(ear)]

    def after(self, index: int, duration_s: float) -> list[float]:
        """EAR of the samples with a face in the `duration_s` after the sample `index`."""
        last = bisect_right(self.times, self.times[index] + duration_s + ROUNDING_S)
        return [ear for ear in self.ears[index + 1 : last] if not math.isnan(ear)]

    def span(self, index: int, level: float) -> Span:
        """Where EAR stays below `level` around the sample `index`, which lies below it."""
        first, start_s, begun = self._edge(index, level, -1)
        last, end_s, ended = self._edge(index, level, 1)
        return Span(start_s, end_s, first, last, begun and ended)

    def closure(self, eye: Sequence[float], start_s: float, end_s: float) -> float | None:
        """How far one eye, `lefts` or `rights`, closed within that time.

        1 minus its lowest EAR over its level beside, 0..1; `None` if it wasn't seen all the time.
        """
        first, last = bisect_left(self.times, start_s), bisect_right(self.times, end_s)
        before = bisect_left(self.times, start_s - BESIDE_S - ROUNDING_S)
        after = bisect_right(self.times, end_s + BESIDE_S + ROUNDING_S)
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
        """The time of the sample that is nearest to `time_s`."""
        after = bisect_left(self.times, time_s)
        around = self.times[max(0, after - 1) : after + 1]
        return min(around, key=lambda sample_s: abs(sample_s - time_s))

    def next_s(self, time_s: float) -> float:
        """The time of the first sample after `time_s`, which isn't the newest."""
        return self.times[bisect_right(self.times, time_s)]

    def _edge(self, index: int, level: float, step: int) -> tuple[int, float, bool]:
        """The last sample below `level` towards `step`, and when, and if, it is crossed there."""
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
    """When the lids were half way up again after `deepest_s`; `None` if no dip is there."""
    found = _rough_span(recent, bisect_left(recent.times, deepest_s))
    return None if found is None else found[1].end_s


def measure_dip(recent: Recent, deepest_s: float) -> Dip | None:
    """The dip that is deepest at the sample of time `deepest_s`.

    `None` if it is shallower than `MIN_DEPTH`, has no level on both sides, or was not seen whole.
    """
    index = bisect_left(recent.times, deepest_s)
    found = _rough_span(recent, index)
    if found is None:
        return None
    floor, beside = found
    before = recent.before(beside.first, BESIDE_S)
    after = recent.after(beside.last, BESIDE_S)
    if min(len(before), len(after)) < MIN_BESIDE_SAMPLES:
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
    """The floor, and the closure at half its depth below the highest EAR within `LOOK_AHEAD_S`."""
    before = recent.before(index, LOOK_AHEAD_S)
    after = recent.after(index, LOOK_AHEAD_S)
    if not before or not after:
        return None
    highest = min(max(before), max(after))
    if 1 - recent.ears[index] / highest < MIN_DEPTH:
        return None
    floor = _kept_up(recent, index, highest)
    return (floor, recent.span(index, (highest + floor) / 2)) if floor < highest else None


def _kept_up(recent: Recent, index: int, highest: float) -> float:
    """The lowest level that EAR stays below for `KEPT_UP_S` around `index`, by bisection."""
    low, high = recent.ears[index], highest
    for _ in range(12):  # to a four-thousandth of the depth
        middle = (low + high) / 2
        span = recent.span(index, middle)
        if span.end_s - span.start_s < KEPT_UP_S:
            low = middle
        else:
            high = middle
    return high


def _shut_s(recent: Recent, edges: Span, level: float) -> float:
    """How long EAR was below `level` within `edges`, a short flutter included."""
    within = range(edges.first, edges.last + 1)
    below = [index for index in within if recent.ears[index] < level]
    if not below:
        return 0.0
    return recent.span(below[-1], level).end_s - recent.span(below[0], level).start_s


def deviation(ears: Sequence[float]) -> float:
    """The standard deviation of noise in three EAR of neighbouring frames and more.

    By the median of their bends: blind to where the lids go, and to blinks.
    """
    bends = sorted(abs(a - 2 * b + c) for a, b, c in zip(ears, ears[1:], ears[2:], strict=False))
    return _MEDIAN_TO_SIGMA * quantile(bends, 0.5)


def _noise(recent: Recent, index: int, level: float) -> float | None:
    """Standard deviation of the EAR in the `NOISE_MEMORY_S` before `index`, a share of `level`."""
    ears = recent.before(index, NOISE_MEMORY_S)
    return deviation(ears) / level if len(ears) >= MIN_NOISE_SAMPLES + 2 else None
