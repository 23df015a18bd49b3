"""Builds a Session (metrics, minutes and blinks) from samples and their times.

Definitions. An interval is the time from one frame to the next.

- **valid time**: the sum of the intervals between two consecutive frames that both show a
  trustworthy face (`levels.trusted_ear`), each counted up to `MAX_INTERVAL_S`, so that a frozen
  camera adds no valid time.
- **means** (`ear_mean`, `ear_open`, `perclos`) weight each frame by the valid interval before it.
- **looking down** (`gaze`) counts neither as closed time nor as a long closure.
- **gating**: counts and all that is derived from them are not measured if the delivered rate is
  below `MIN_COUNT_FPS`, on average or too often, or if noise or blur hides the blinks (`quality`).
  PERCLOS is not measured in a blurred picture. Durations are not measured below `MIN_DURATION_FPS`.

Memory is bounded: sums, one small record per minute and one per blink.
"""

import copy
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from agent.measure.blinks import BlinkDetector
from agent.measure.counted import Counted, known
from agent.measure.gaps import Gaps
from agent.measure.gaze import Gaze, Kind, Stretch
from agent.measure.levels import MIN_EAR, Levels, quantile, trusted_ear
from agent.measure.metrics import PERCLOS_CLOSED, BlinkColumns, Metrics, Minute, Session
from agent.measure.quality import Blur, Flag, Noise, Picture, flags
from agent.measure.reminding import Tally, tally
from agent.records import Blink, EyeSample

MAX_INTERVAL_S = 0.25
"""One frame stands for at most a quarter of a second, about the length of a blink."""

STALL_S = 1.0
"""A longer interval is a stall of the camera, not a slow frame rate."""

MIN_COUNT_FPS = 10.0
MIN_DURATION_FPS = 15.0
RATE_TOLERANCE = 0.98
"""A camera set to 15 fps delivers 14.99: the gates are meant for cameras that deliver 12."""

LATE, LATE_TIME = 1.3, 0.25
"""An interval is late if it is 1.3 times as long as a gate's own, more than camera jitter. Late
intervals may fill a quarter of the time: on synthetic traces with frames lost at random up to 6 %
of blinks are then missed; above that, 8 % and more."""

LONGEST_S = 60.0 * (24 * 60 + 1)
"""Maximum session length: 24 h plus 1 min. Callers enforce it, because memory grows with minutes
and servers accept no more of them."""

IRISES_CLOSURE = 0.5
"""Lids that are less closed need no irises."""

UNCLEAR_TIME = 0.01
"""Share of valid time with closed lids that may look down. PERCLOS is usually 0.01 to 0.03."""


@dataclass(slots=True)
class _Sums:
    """Time-weighted sums over valid time, in seconds or EAR times seconds."""

    valid_s: float = 0.0
    ear: float = 0.0
    open_level: float = 0.0
    closed_s: float = 0.0
    down_s: float = 0.0
    unclear_s: float = 0.0

    def add(self, weight_s: float, ear: float, open_level: float, closed: bool) -> None:
        self.valid_s += weight_s
        self.ear += weight_s * ear
        self.open_level += weight_s * open_level
        self.closed_s += weight_s * closed

    def reclassify(self, weight_s: float, kind: Kind) -> None:
        """Move time that was counted as closed to `kind`."""
        if kind == "down":
            self.closed_s = max(0.0, self.closed_s - weight_s)
            self.down_s += weight_s
        elif kind == "unclear":
            self.unclear_s += weight_s

    def mean(self, total: float) -> float | None:
        return total / self.valid_s if self.valid_s > 0 else None


class _Eye:
    """One eye's open level, and its mean over the valid time in which the eye was seen."""

    def __init__(self) -> None:
        self._levels = Levels()
        self._seen_s = self._open = 0.0

    def add(self, time_s: float, ear: float | None, weight_s: float) -> None:
        if ear is None:
            return
        self._levels.add(time_s, max(ear, MIN_EAR))
        if self._levels.open is not None:
            self._seen_s += weight_s
            self._open += weight_s * self._levels.open

    @property
    def open(self) -> float | None:
        return self._open / self._seen_s if self._seen_s > 0 else None


@dataclass(slots=True)
class _Delivered:
    """The delivered frame rate, and how much of the time was slower than each gate."""

    frames: int = 0
    intervals: int = 0
    running_s: float = 0.0
    late_s: dict[float, float] = field(
        default_factory=lambda: {MIN_COUNT_FPS: 0.0, MIN_DURATION_FPS: 0.0}
    )

    def add(self, interval_s: float | None) -> None:
        self.frames += 1
        if interval_s is not None and interval_s <= STALL_S:
            self.intervals += 1
            self.running_s += interval_s
            for min_fps in self.late_s:
                if interval_s * min_fps > LATE:
                    self.late_s[min_fps] += interval_s

    @property
    def fps(self) -> float | None:
        return self.intervals / self.running_s if self.running_s > 0 else None

    def reaches(self, min_fps: float) -> bool:
        """Return whether the rate reaches `min_fps`, one of the gates, on average and mostly.

        Return False before there is a rate.
        """
        if self.fps is None or self.late_s[min_fps] > LATE_TIME * self.running_s:
            return False
        return self.fps >= min_fps * RATE_TOLERANCE


class SessionBuilder:
    """Takes a session's samples in order of time and reports the session so far at any time.

    `down` is called with the start and end of each look down, in seconds, once it has ended.
    """

    def __init__(self, start_s: float, down: Callable[[float, float], None] | None = None) -> None:
        self._start_s = start_s
        self._down = down
        self._detector = BlinkDetector()
        self._last: EyeSample | None = None
        self._delivered = _Delivered()
        self._gaps = Gaps()
        self._noise = Noise()
        self._blur = Blur()
        self._picture = Picture()
        self._gaze = Gaze()
        self._left, self._right = _Eye(), _Eye()
        self._total = _Sums()
        self._minutes: defaultdict[int, _Sums] = defaultdict(_Sums)
        self._blinks = Counted()
        self._long: list[Blink] = []

    def add(self, sample: EyeSample) -> list[Blink]:
        """Take one frame's sample; return the events that it decided, up to half a second late.

        A frame that is not later than the one before it is ignored.
        """
        if self._last is not None and sample.time_s <= self._last.time_s:
            return []
        blinks = self._detector.add(sample)
        interval_s = None if self._last is None else sample.time_s - self._last.time_s
        self._delivered.add(interval_s)
        self._weigh(sample, interval_s)
        self._count(blinks)
        self._last = sample
        return blinks

    @property
    def levels(self) -> Levels:
        """The current estimate of the person's open and closed levels."""
        return self._detector.levels

    @property
    def irises_below(self) -> float:
        """EAR from which on an iris changes nothing; infinity until the first one was seen.

        The gaze is told from lids that are closed (`PERCLOS_CLOSED`): far below this EAR, so that
        levels may change from one frame to the next.
        """
        levels = self._detector.levels
        if levels.open is None or not self._gaze.seen:
            return math.inf
        return levels.open * (1 - IRISES_CLOSURE * levels.depth)

    @property
    def events(self) -> list[Blink]:
        """The blinks, then the long closures without looking down, each in order of time."""
        return [*self._blinks, *self._long]

    def tally(self, time_s: float, frames_dropped: int) -> Tally:
        """Return what was counted up to `time_s`: cheap, for once a second."""
        blinks = len(self._blinks) if self._measured(MIN_COUNT_FPS) else None
        quality = self._quality(time_s - self._start_s, blinks, frames_dropped)
        return tally(self._total.valid_s, blinks, quality)

    def snapshot(self, end_s: float, frames_dropped: int) -> Session:
        """Return the session up to `end_s`, without undecided events. Changes no state."""
        under_way = self._gaze.under_way()
        if under_way is None:
            return self._session(end_s, frames_dropped, final=False)
        touched = {minute: copy.copy(self._minutes[minute]) for minute in under_way[0].weights}
        total = copy.copy(self._total)
        try:
            self._reclassify(*under_way)
            return self._session(end_s, frames_dropped, final=False)
        finally:
            self._total = total
            self._minutes.update(touched)

    def finish(self, end_s: float, frames_dropped: int) -> Session:
        """Return the finished session, including undecided events."""
        self._count(self._detector.finish())
        if ended := self._gaze.end():
            self._settle(*ended)
        return self._session(end_s, frames_dropped, final=True)

    def _weigh(self, sample: EyeSample, interval_s: float | None) -> None:
        levels = self._detector.levels
        ear, open_level = trusted_ear(sample), levels.open
        if ear is None or open_level is None:
            return
        self._noise.add(sample.time_s, ear, open_level, levels.depth)
        self._blur.add(sample.sharpness)
        self._picture.add(sample.others, turned=sample.turned)
        self._gaps.add(sample.time_s)
        if interval_s is None or self._last is None or trusted_ear(self._last) is None:
            return
        weight_s = min(interval_s, MAX_INTERVAL_S)
        closure = levels.closure(ear)
        closed = closure >= PERCLOS_CLOSED
        minute = int((sample.time_s - self._start_s) // 60)
        for sums in (self._total, self._minutes[minute]):
            sums.add(weight_s, ear, open_level, closed)
        if ended := self._gaze.add(sample, closure, closed, weight_s, minute):
            self._settle(*ended)
        self._left.add(sample.time_s, sample.ear_left, weight_s)
        self._right.add(sample.time_s, sample.ear_right, weight_s)

    def _settle(self, stretch: Stretch, kind: Kind) -> None:
        self._reclassify(stretch, kind)
        if self._down is not None and kind == "down":
            self._down(stretch.start_s, stretch.end_s)

    def _reclassify(self, stretch: Stretch, kind: Kind) -> None:
        for minute, weight_s in stretch.weights.items():
            self._total.reclassify(weight_s, kind)
            self._minutes[minute].reclassify(weight_s, kind)

    def _count(self, blinks: Sequence[Blink]) -> None:
        for blink in blinks:
            if blink.long:
                if not self._gaze.was_down(blink.start_s, blink.end_s):
                    self._long.append(blink)
            else:
                after_gap = self._gaps.forget_until(blink.start_s)
                self._blinks.add(blink, after_gap=after_gap)

    def _session(self, end_s: float, frames_dropped: int, *, final: bool) -> Session:
        metrics = self._metrics(end_s, frames_dropped)
        return Session(
            metrics=metrics,
            quality=self._quality(metrics.duration_s, metrics.blink_count, frames_dropped),
            minutes=self._minute_rows(end_s),
            blinks=self._columns() if final else None,
            fps=self._delivered.fps,
        )

    def _quality(
        self, duration_s: float, blinks: int | None, frames_dropped: int
    ) -> tuple[Flag, ...]:
        return flags(
            duration_s=duration_s,
            valid_s=self._total.valid_s,
            slow=self._delivered.fps is not None and not self._delivered.reaches(MIN_DURATION_FPS),
            blinks=blinks,
            frames=self._delivered.frames,
            frames_dropped=frames_dropped,
            noisy=self._noise.noisy,
            blurred=self._blur.blurred,
            second_face=self._picture.second_face,
            turned=self._picture.turned,
            gaze_unknown=self._gaze_unknown,
        )

    @property
    def _gaze_unknown(self) -> bool:
        return self._total.unclear_s > UNCLEAR_TIME * self._total.valid_s

    def _looking_down(self) -> float | None:
        known = self._gaze.seen and not self._gaze_unknown and not self._blur.too_blurred
        return self._total.mean(self._total.down_s) if known else None

    def _measured(self, min_fps: float) -> bool:
        seen = self._total.valid_s > 0 and not self._noise.too_noisy and not self._blur.too_blurred
        return seen and self._delivered.reaches(min_fps)

    def _perclos(self, sums: _Sums) -> float | None:
        return None if self._blur.too_blurred else sums.mean(sums.closed_s)

    def _metrics(self, end_s: float, frames_dropped: int) -> Metrics:
        total, blinks = self._total, self._blinks
        duration_s = max(0.0, end_s - self._start_s)
        counts, durations = self._measured(MIN_COUNT_FPS), self._measured(MIN_DURATION_FPS)
        lengths_ms = sorted(1000 * s for s in blinks.duration_s) if durations else []
        counted = blinks if counts else Counted()
        return Metrics(
            duration_s=duration_s,
            valid_s=total.valid_s,
            coverage=min(1.0, total.valid_s / duration_s) if duration_s > 0 else None,
            frames=self._delivered.frames,
            frames_dropped=frames_dropped,
            blink_count=len(blinks) if counts else None,
            partial_blink_count=blinks.complete.count(0) if counts else None,
            blink_rate_per_min=60 * len(blinks) / total.valid_s if counts else None,
            inter_blink_interval_median_s=self._interval_median_s() if counts else None,
            blink_duration_median_ms=quantile(lengths_ms, 0.5) if lengths_ms else None,
            blink_duration_p90_ms=quantile(lengths_ms, 0.9) if lengths_ms else None,
            ear_mean=total.mean(total.ear),
            ear_open=total.mean(total.open_level),
            perclos=self._perclos(total),
            long_closure_count=len(self._long) if counts else None,
            longest_closure_s=max((long.duration_s for long in self._long), default=None)
            if durations
            else None,
            ear_open_left=self._left.open,
            ear_open_right=self._right.open,
            blink_closure_left_median=_median(counted.closure_left),
            blink_closure_right_median=_median(counted.closure_right),
            looking_down=self._looking_down(),
        )

    def _interval_median_s(self) -> float | None:
        starts, after_gap = self._blinks.start_s, self._blinks.after_gap
        pairs = enumerate(pairwise(starts), start=1)
        intervals = [later - earlier for number, (earlier, later) in pairs if not after_gap[number]]
        return median(intervals) if intervals else None

    def _minute_rows(self, end_s: float) -> tuple[Minute, ...]:
        """Return the minutes begun. A last one under a second counts only if it has a blink."""
        counted = Counter(int((s - self._start_s) // 60) for s in self._blinks.start_s)
        begun = math.ceil((end_s - self._start_s - 1.0) / 60)
        minutes = range(max(begun, 1 + max(counted, default=-1)))
        return tuple(self._minute(minute, counted[minute]) for minute in minutes)

    def _minute(self, minute: int, blinks: int) -> Minute:
        sums = self._minutes.get(minute, _Sums())
        counts = sums.valid_s > 0 and self._measured(MIN_COUNT_FPS)
        return Minute(
            minute=minute,
            valid_s=sums.valid_s,
            blinks=blinks if counts else None,
            ear_mean=sums.mean(sums.ear),
            perclos=self._perclos(sums),
        )

    def _columns(self) -> BlinkColumns:
        blinks = self._blinks if self._measured(MIN_COUNT_FPS) else Counted()
        durations = self._measured(MIN_DURATION_FPS)
        return BlinkColumns(
            at_s=tuple(start_s - self._start_s for start_s in blinks.start_s),
            duration_ms=tuple(1000 * s if durations else None for s in blinks.duration_s),
            amplitude=tuple(blinks.amplitude),
            complete=tuple(map(bool, blinks.complete)),
            closure_left=tuple(map(known, blinks.closure_left)),
            closure_right=tuple(map(known, blinks.closure_right)),
        )


def _median(values: Iterable[float]) -> float | None:
    """Return the median of the values that are not NaN; None if there are none."""
    numbers = [value for value in values if not math.isnan(value)]
    return median(numbers) if numbers else None
