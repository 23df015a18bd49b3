"""The data behind a recording's blinks, one row per sample, and its description, for the pictures.

The levels are those that the detector used when it received the sample, not what it learned later.
A gap is time that valid time leaves out (see `session`): the time from one trustworthy face to the
next if there are frames without a face, or no frames, between them.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.measure.levels import trusted_ear
from agent.measure.metrics import Session
from agent.measure.session import MAX_INTERVAL_S, SessionBuilder
from agent.records import Blink, EyeSample

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without data. `frames` is how many frames showed no face; 0 means no frames."""

    start_s: float
    end_s: float
    frames: int


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Arrays are float64 (samples,), NaN for missing values. Times are those of the samples.

    `ear`, `left` and `right` are the EAR of trustworthy faces, `open` and `closed` the levels.
    `blinks` includes long closures. `down` holds the start and end of each look down. Blinks, gaps
    and looks down are in order of time and don't overlap their own kind.
    """

    times: Floats
    ear: Floats
    left: Floats
    right: Floats
    open: Floats
    closed: Floats
    blinks: tuple[Blink, ...]
    gaps: tuple[Gap, ...]
    down: tuple[tuple[float, float], ...]
    session: Session

    def blinks_between(self, start_s: float, end_s: float) -> tuple[Blink, ...]:
        """Return blinks and long closures that overlap the time range."""
        first = bisect_left(self.blinks, start_s, key=lambda blink: blink.end_s)
        return self.blinks[first : bisect_right(self.blinks, end_s, key=lambda each: each.start_s)]

    def gaps_between(self, start_s: float, end_s: float) -> tuple[Gap, ...]:
        """Return gaps that overlap the time range."""
        first = bisect_left(self.gaps, start_s, key=lambda gap: gap.end_s)
        return self.gaps[first : bisect_right(self.gaps, end_s, key=lambda each: each.start_s)]


def gather(samples: Sequence[EyeSample]) -> Evidence:
    """Measure a whole recording of at least one sample, in order of time."""
    down: list[tuple[float, float]] = []
    builder = SessionBuilder(
        samples[0].time_s, lambda start_s, end_s: down.append((start_s, end_s))
    )
    rows = []
    for sample in samples:
        builder.add(sample)
        levels, mean = builder.levels, trusted_ear(sample)
        eyes = (None, None) if mean is None else (sample.ear_left, sample.ear_right)
        rows.append((sample.time_s, mean, *eyes, levels.open, levels.closed))
    session = builder.finish(samples[-1].time_s, frames_dropped=0)
    times, ear, left, right, opened, closed = np.array(rows, np.float64).T
    return Evidence(
        times=times,
        ear=ear,
        left=left,
        right=right,
        open=opened,
        closed=closed,
        blinks=tuple(sorted(builder.events, key=lambda blink: blink.start_s)),
        gaps=tuple(_gaps(times, ear)),
        down=tuple(down),
        session=session,
    )


def ear_range(evidence: Evidence) -> tuple[float, float]:
    """Return the range of EAR to show: every dip, and peaks up to half above the open level."""
    curves = (evidence.ear, evidence.left, evidence.right, evidence.closed, evidence.open)
    seen = np.concatenate(curves)
    seen = seen[np.isfinite(seen)]
    if not len(seen):
        return 0.0, 0.4
    low, high = float(seen.min()), float(seen.max())
    high = min(high, 1.5 * float(np.nanmax(evidence.open, initial=0.0)) or high)
    margin = max(0.08 * (high - low), 0.02)  # the noise of a still eye must not look like blinks
    return max(0.0, low - margin), high + margin


def blink_summary(evidence: Evidence, until_s: float = math.inf) -> str:
    """Describe the number of blinks that began by `until_s`."""
    if not evidence.blinks and evidence.session.metrics.blink_count is None:
        return "blinks not counted"
    begun = evidence.blinks_between(-math.inf, until_s)
    long = sum(blink.long for blink in begun)
    half = sum(not blink.complete and not blink.long for blink in begun)
    said = f"{len(begun) - long} blink{'' if len(begun) - long == 1 else 's'}"
    said += f" ({half} partial)" if half else ""
    return said + (f", {long} long closure{'' if long == 1 else 's'}" if long else "")


def clock(time_s: float, step_s: float = 1.0) -> str:
    """Format a time as `1:05`, from an hour on `1:00:05`, with the decimals that `step_s` needs."""
    decimals = 0 if step_s >= 1 else 1 if step_s >= 0.1 else 2
    time_s = round(time_s, decimals)
    seconds = f"{time_s % 60:0{decimals + 3 if decimals else 2}.{decimals}f}"
    minutes, hours = int(time_s // 60) % 60, int(time_s // 3600)
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


def _gaps(times: Floats, ear: Floats) -> list[Gap]:
    """Return the gaps between samples with an EAR, before the first and after the last of them."""
    seen = np.flatnonzero(np.isfinite(ear))
    ends = np.concatenate([[-1], seen, [len(times)]])
    gaps = []
    for before, after in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        start_s = float(times[max(before, 0)])
        end_s = float(times[min(after, len(times) - 1)])
        frames = after - before - 1
        if frames or end_s - start_s > MAX_INTERVAL_S:
            gaps.append(Gap(start_s, end_s, frames))
    return gaps
