"""Builds the Session: its metrics, minutes and blinks, from samples and their times alone.

Definitions, with t running over the frames and an interval being the time from one frame to the
next:

- **valid time**: the sum of the intervals between two consecutive frames that both hold a
  trustworthy face (`openness.trusted_ear`), each counted up to `MAX_INTERVAL_S`: a frozen camera is
  not valid time.
- **means** (`ear_mean`, `ear_open`, `perclos`) weigh each frame with the valid interval before it.
- **looking down** (`gaze`) counts neither as closed time nor as a long closure.
- **gating**: below `MIN_COUNT_FPS` delivered, on the whole or too often, or where noise or blur
  hides the blinks (`quality`), counts and everything made of them are not measured; nor is PERCLOS
  in a blur; below `MIN_DURATION_FPS`, durations are not.

Memory is bounded: sums, one small record a minute and one a blink.
"""

import copy
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from agent.measure.blinks import BlinkDetector
from agent.measure.gaze import Gaze, Kind, Stretch
from agent.measure.levels import Levels, quantile, trusted_ear
from agent.measure.metrics import BlinkColumns, Metrics, Minute, Session
from agent.measure.quality import Blur, Noise, Picture, Word, words
from agent.records import Blink, EyeSample

MAX_INTERVAL_S = 0.25
"""One frame vouches for a quarter of a second at most, about a blink's length."""

STALL_S = 1.0
"""A longer interval is a stall of the camera, not a slow frame rate."""

UNSEEN_S = 0.5
"""A longer stretch without a trustworthy face could hide a blink, which lasts up to 500 ms."""

MIN_COUNT_FPS = 10.0
MIN_DURATION_FPS = 15.0
RATE_TOLERANCE = 0.98
"""A camera that says 15 delivers 14.99: the gates are for cameras that say 12."""

LATE, LATE_TIME = 1.3, 0.25
"""Intervals longer than 1.3 of a gate's own, more than cameras jitter, may fill a quarter of the
time: on synthetic traces with frames lost at random up to 6 % of blinks are then missed; where they
fill more, 8 % and up."""

LONGEST_S = 60.0 * (24 * 60 + 1)
"""A session's frames lie within that of its first: a day, and a minute to end in. What is handed in
has to be checked for it, as memory goes with its minutes; no server takes more of them."""

UNCLEAR_TIME = 0.01
"""Of valid time may be closed lids that may as well look down: PERCLOS is usually 0.01 to 0.03."""

PERCLOS_CLOSED = 0.8
"""At least 80 % closed between the person's open and closed level (Abe 2023, PMC10108649)."""


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

    def tell(self, weight_s: float, kind: Kind) -> None:
        """Closed time turned out to be of that kind."""
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
        self._levels.add(time_s, ear)
        if self._levels.open is not None:
            self._seen_s += weight_s
            self._open += weight_s * self._levels.open

    @property
    def open(self) -> float | None:
        return self._open / self._seen_s if self._seen_s > 0 else None


@dataclass(slots=True)
class _Delivered:
    """The frame rate that arrived, and how much of the time was slower than the gates ask for."""

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
        """On the whole, and most of the time; `min_fps` is one of the gates.

        False as well before there is a rate.
        """
        if self.fps is None or self.late_s[min_fps] > LATE_TIME * self.running_s:
            return False
        return self.fps >= min_fps * RATE_TOLERANCE


@dataclass(slots=True)
class _Counted:
    """One blink of the session, and whether the face was unseen between it and the one before."""

    blink: Blink
    after_gap: bool


class _Gaps:
    """The stretches in which a blink could have hidden, known by their ends."""

    def __init__(self) -> None:
        self._last_valid_s: float | None = None
        # A blink is decided within 2 s of its start: no more gaps than four can end after it.
        self._ends: deque[float] = deque(maxlen=4)

    def add(self, time_s: float) -> None:
        """A trustworthy face was seen."""
        if self._last_valid_s is not None and time_s - self._last_valid_s > UNSEEN_S:
            self._ends.append(time_s)
        self._last_valid_s = time_s

    def forget_until(self, time_s: float) -> bool:
        """True if a gap ended before `time_s`; these are forgotten."""
        passed = [end for end in self._ends if end <= time_s]
        for _ in passed:
            self._ends.popleft()
        return bool(passed)


class SessionBuilder:
    """Takes a session's samples in the order of time; says at any time what it holds so far."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._detector = BlinkDetector()
        self._last: EyeSample | None = None
        self._delivered = _Delivered()
        self._gaps = _Gaps()
        self._noise = Noise()
        self._blur = Blur()
        self._picture = Picture()
        self._gaze = Gaze()
        self._left, self._right = _Eye(), _Eye()
        self._total = _Sums()
        self._minutes: dict[int, _Sums] = {}
        self._blinks: list[_Counted] = []
        self._long: list[Blink] = []

    def add(self, sample: EyeSample) -> list[Blink]:
        """Take one frame's sample; returns the events that it decided, up to half a second late.

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
        """The person's open and closed level, as believed by now."""
        return self._detector.levels

    @property
    def events(self) -> list[Blink]:
        """The blinks, then the long closures that were no look down, each in the order of time."""
        return [counted.blink for counted in self._blinks] + self._long

    def snapshot(self, end_s: float, frames_dropped: int) -> Session:
        """What was measured until `end_s`, without events not yet decided. Changes nothing."""
        under_way = self._gaze.under_way()
        if under_way is None:
            return self._session(end_s, frames_dropped, final=False)
        touched = {minute: copy.copy(self._minutes[minute]) for minute in under_way[0].weights}
        total = copy.copy(self._total)
        try:
            self._tell(*under_way)
            return self._session(end_s, frames_dropped, final=False)
        finally:
            self._total = total
            self._minutes.update(touched)

    def finish(self, end_s: float, frames_dropped: int) -> Session:
        """The finished session, events not yet decided included."""
        self._count(self._detector.finish())
        if ended := self._gaze.end():
            self._tell(*ended)
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
        for sums in (self._total, self._minutes.setdefault(minute, _Sums())):
            sums.add(weight_s, ear, open_level, closed)
        if ended := self._gaze.add(sample, closure, closed, weight_s, minute):
            self._tell(*ended)
        self._left.add(sample.time_s, sample.ear_left, weight_s)
        self._right.add(sample.time_s, sample.ear_right, weight_s)

    def _tell(self, stretch: Stretch, kind: Kind) -> None:
        for minute, weight_s in stretch.weights.items():
            self._total.tell(weight_s, kind)
            self._minutes[minute].tell(weight_s, kind)

    def _count(self, blinks: Sequence[Blink]) -> None:
        for blink in blinks:
            if blink.long:
                if not self._gaze.was_down(blink.start_s, blink.end_s):
                    self._long.append(blink)
            else:
                after_gap = self._gaps.forget_until(blink.start_s)
                self._blinks.append(_Counted(blink, after_gap))

    def _session(self, end_s: float, frames_dropped: int, *, final: bool) -> Session:
        metrics = self._metrics(end_s, frames_dropped)
        return Session(
            metrics=metrics,
            quality=self._quality(metrics),
            minutes=self._minute_rows(end_s),
            blinks=self._columns() if final else None,
            fps=self._delivered.fps,
        )

    def _quality(self, metrics: Metrics) -> tuple[Word, ...]:
        return words(
            duration_s=metrics.duration_s,
            valid_s=metrics.valid_s,
            slow=self._delivered.fps is not None and not self._delivered.reaches(MIN_DURATION_FPS),
            blinks=metrics.blink_count,
            frames=metrics.frames,
            frames_dropped=metrics.frames_dropped,
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
        known = self._gaze.seen and not self._gaze_unknown and not self._blur.blind
        return self._total.mean(self._total.down_s) if known else None

    def _measured(self, min_fps: float) -> bool:
        seen = self._total.valid_s > 0 and not self._noise.drowned and not self._blur.blind
        return seen and self._delivered.reaches(min_fps)

    def _perclos(self, sums: _Sums) -> float | None:
        return None if self._blur.blind else sums.mean(sums.closed_s)

    def _metrics(self, end_s: float, frames_dropped: int) -> Metrics:
        total, blinks = self._total, self._blinks
        duration_s = max(0.0, end_s - self._start_s)
        counts, durations = self._measured(MIN_COUNT_FPS), self._measured(MIN_DURATION_FPS)
        lengths_ms = (
            sorted(1000 * counted.blink.duration_s for counted in blinks) if durations else []
        )
        return Metrics(
            duration_s=duration_s,
            valid_s=total.valid_s,
            coverage=min(1.0, total.valid_s / duration_s) if duration_s > 0 else None,
            frames=self._delivered.frames,
            frames_dropped=frames_dropped,
            blink_count=len(blinks) if counts else None,
            partial_blink_count=sum(not c.blink.complete for c in blinks) if counts else None,
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
            blink_closure_left_median=_median(c.blink.closure_left for c in blinks)
            if counts
            else None,
            blink_closure_right_median=_median(c.blink.closure_right for c in blinks)
            if counts
            else None,
            looking_down=self._looking_down(),
        )

    def _interval_median_s(self) -> float | None:
        pairs = zip(self._blinks, self._blinks[1:], strict=False)
        intervals = [
            later.blink.start_s - earlier.blink.start_s
            for earlier, later in pairs
            if not later.after_gap
        ]
        return median(intervals) if intervals else None

    def _minute_rows(self, end_s: float) -> tuple[Minute, ...]:
        """The minutes begun; a last one shorter than a second only if it holds a blink."""
        counted: dict[int, int] = {}
        for entry in self._blinks:
            minute = int((entry.blink.start_s - self._start_s) // 60)
            counted[minute] = counted.get(minute, 0) + 1
        begun = math.ceil((end_s - self._start_s - 1.0) / 60)
        minutes = range(max(begun, 1 + max(counted, default=-1)))
        return tuple(self._minute(minute, counted.get(minute, 0)) for minute in minutes)

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
        blinks = [c.blink for c in self._blinks] if self._measured(MIN_COUNT_FPS) else []
        durations = self._measured(MIN_DURATION_FPS)
        return BlinkColumns(
            at_s=tuple(blink.start_s - self._start_s for blink in blinks),
            duration_ms=tuple(1000 * b.duration_s if durations else None for b in blinks),
            amplitude=tuple(blink.amplitude for blink in blinks),
            complete=tuple(blink.complete for blink in blinks),
            closure_left=tuple(blink.closure_left for blink in blinks),
            closure_right=tuple(blink.closure_right for blink in blinks),
        )


def _median(values: Iterable[float | None]) -> float | None:
    """Of those that are known; `None` if none is."""
    known = [value for value in values if value is not None]
    return median(known) if known else None
