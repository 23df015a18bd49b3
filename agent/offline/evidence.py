"""What a recording's blinks were counted from, a row a sample: what pictures of it are drawn from.

The levels are those that the detector believed when it was given the sample, not what it learned
later. A gap is what valid time leaves out (see `session`): the time from one trustworthy face to
the next with frames without one, or with no frames, between them.
"""

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
    """A stretch of time that nothing is known about; `frames` says how many showed no face."""

    start_s: float
    end_s: float
    frames: int


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Arrays are float64 (samples,), NaN where there is no number. Times are the samples' own.

    `ear`, `left` and `right` are the EAR of trustworthy faces, `open` and `closed` the levels.
    `blinks` holds the long closures too; neither they nor the gaps overlap, and both are in order.
    """

    times: Floats
    ear: Floats
    left: Floats
    right: Floats
    open: Floats
    closed: Floats
    blinks: tuple[Blink, ...]
    gaps: tuple[Gap, ...]
    session: Session

    def blinks_between(self, start_s: float, end_s: float) -> tuple[Blink, ...]:
        """Blinks and long closures of which a part lies in that time."""
        first = bisect_left(self.blinks, start_s, key=lambda blink: blink.end_s)
        return self.blinks[first : bisect_right(self.blinks, end_s, key=lambda each: each.start_s)]

    def gaps_between(self, start_s: float, end_s: float) -> tuple[Gap, ...]:
        """Gaps of which a part lies in that time."""
        first = bisect_left(self.gaps, start_s, key=lambda gap: gap.end_s)
        return self.gaps[first : bisect_right(self.gaps, end_s, key=lambda each: each.start_s)]


def gather(samples: Sequence[EyeSample]) -> Evidence:
    """The evidence in a whole recording of one sample or more, in the order of time."""
    builder = SessionBuilder(samples[0].time_s)
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
        session=session,
    )


def _gaps(times: Floats, ear: Floats) -> list[Gap]:
    """Between the samples with an EAR, and before the first and after the last of them."""
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
