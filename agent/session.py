"""Builds the Session: its metrics, minutes and blinks, from samples and their times alone.

Definitions, with t running over the frames and an interval being the time from one frame to the
next:

- **valid time**: the sum of the intervals between two consecutive frames that both hold a
  trustworthy face (`openness.trusted_ear`), each counted up to `MAX_INTERVAL_S`: a frozen camera is
  not valid time.
- **means** (`ear_mean`, `ear_open`, `perclos`) weigh each frame with the valid interval before it.
- **gating**: below `MIN_COUNT_FPS` delivered, on the whole or too often, or where noise or blur
  hides the blinks (`quality`), counts and everything made of them are not measured; nor is PERCLOS
  in a blur; below `MIN_DURATION_FPS`, durations are not.

Memory is bounded: sums, one small record a minute and one a blink.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from agent.blinks import BlinkDetector
from agent.openness import quantile, trusted_ear
from agent.quality import Blur, Noise, Word, words
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

PERCLOS_CLOSED = 0.8
"""At least 80 % closed between the person's open and closed level (Abe 2023, PMC10108649)."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The document's `metrics`, unrounded. `None` is "not measured", never 0.

    duration_s: from the start of the session to its end, in seconds.
    valid_s: valid time, in seconds. coverage: valid_s / duration_s, 0..1.
    frames: frames that arrived. frames_dropped: frames that the camera gave and nobody could take.
    blink_count: blinks, complete and partial; long closures are counted apart.
    partial_blink_count: how many of these were partial.
    blink_rate_per_min: blink_count per minute of valid time.
    inter_blink_interval_median_s: median time from one blink's start to the next one's, of
    neighbours
        between which the face was never unseen for longer than `UNSEEN_S`.
    blink_duration_median_ms, blink_duration_p90_ms: of `Blink.duration_s`, in milliseconds.
    ear_mean: mean EAR over valid time. ear_open: mean open level over valid time.
    perclos: share of valid time with the eyes at least 80 % closed.
    long_closure_count: closures of 500 ms and more. longest_closure_s: the longest of them, in
    seconds.
    """

    duration_s: float
    valid_s: float
    coverage: float | None
    frames: int
    frames_dropped: int
    blink_count: int | None
    partial_blink_count: int | None
    blink_rate_per_min: float | None
    inter_blink_interval_median_s: float | None
    blink_duration_median_ms: float | None
    blink_duration_p90_ms: float | None
    ear_mean: float | None
    ear_open: float | None
    perclos: float | None
    long_closure_count: int | None
    longest_closure_s: float | None


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of the session, counted from 0. Without valid time its numbers are `None`."""

    minute: int
    valid_s: float
    blinks: int | None
    ear_mean: float | None
    perclos: float | None


@dataclass(frozen=True, slots=True)
class BlinkColumns:
    """The session's blinks, a column each property. `at_s`: a blink's start since the session's."""

    at_s: tuple[float, ...]
    duration_ms: tuple[float | None, ...]
    amplitude: tuple[float, ...]
    complete: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """What was measured. `blinks` is `None` until the session is finished.

    `quality` says what speaks against the numbers, if anything does.

    `fps` is the rate that was delivered: frames per second of the time without stalls.
    """

    metrics: Metrics
    quality: tuple[Word, ...]
    minutes: tuple[Minute, ...]
    blinks: BlinkColumns | None
    fps: float | None


@dataclass(slots=True)
class _Sums:
    """Time-weighted sums over valid time, in seconds or EAR times seconds."""

    valid_s: float = 0.0
    ear: float = 0.0
    open_level: float = 0.0
    closed_s: float = 0.0

    def add(self, weight_s: float, ear: float, open_level: float, closed: bool) -> None:
        self.valid_s += weight_s
        self.ear += weight_s * ear
        self.open_level += weight_s * open_level
        self.closed_s += weight_s * closed

    def mean(self, total: float) -> float | None:
        return total / self.valid_s if self.valid_s > 0 else None


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

    def snapshot(self, end_s: float, frames_dropped: int) -> Session:
        """What was measured until `end_s`, without events not yet decided. Changes nothing."""
        return self._session(end_s, frames_dropped, final=False)

    def finish(self, end_s: float, frames_dropped: int) -> Session:
        """The finished session, events not yet decided included."""
        self._count(self._detector.finish())
        return self._session(end_s, frames_dropped, final=True)

    def _weigh(self, sample: EyeSample, interval_s: float | None) -> None:
        levels = self._detector.levels
        ear, open_level = trusted_ear(sample), levels.open
        if ear is None or open_level is None:
            return
        self._noise.add(sample.time_s, ear, open_level, levels.depth)
        self._blur.add(sample.sharpness)
        self._gaps.add(sample.time_s)
        if interval_s is None or self._last is None or trusted_ear(self._last) is None:
            return
        weight_s = min(interval_s, MAX_INTERVAL_S)
        closed = levels.closure(ear) >= PERCLOS_CLOSED
        minute = int((sample.time_s - self._start_s) // 60)
        self._total.add(weight_s, ear, open_level, closed)
        self._minutes.setdefault(minute, _Sums()).add(weight_s, ear, open_level, closed)

    def _count(self, blinks: Sequence[Blink]) -> None:
        for blink in blinks:
            if blink.long:
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
        )

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
        )
