"""Blink detectors for traces: Blinklog's, and the rules it is compared with.

Each takes samples and returns blinks as inclusive intervals of sample indices.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from agent.measure import blinks, dips
from agent.measure import levels as openness
from agent.records import Blink, EyeSample
from bench.scoring import Interval, spans

Detector = Callable[[Sequence[EyeSample]], list[Interval]]

USUAL_THRESHOLD, USUAL_FRAMES = 0.21, 3
"""EAR below 0.21 for three frames: what most tutorials do."""

RELATIVE_THRESHOLD, RELATIVE_MEMORY_S, RELATIVE_FRAMES = 0.6, 10.0, 2
"""EAR below 0.6 of its median over the last 10 s, for two frames."""


def events(samples: Sequence[EyeSample]) -> list[Blink]:
    """Blinklog's events, long closures included."""
    detector = blinks.BlinkDetector()
    found = [event for sample in samples for event in detector.add(sample)]
    return found + detector.finish()


def blinklog(samples: Sequence[EyeSample]) -> list[Interval]:
    """Blinklog's blinks, as `blink-agent analyse` prints them."""
    return _intervals(samples, [event for event in events(samples) if not event.long])


def blinklog_closures(samples: Sequence[EyeSample]) -> list[Interval]:
    """Blinklog's blinks and long closures: EyeBlink8's annotation doesn't tell them apart."""
    return _intervals(samples, events(samples))


def fixed_threshold(
    samples: Sequence[EyeSample], threshold: float = USUAL_THRESHOLD, frames: int = USUAL_FRAMES
) -> list[Interval]:
    """Runs of `frames` frames and more below `threshold`."""
    low = [sample.ear is not None and sample.ear < threshold for sample in samples]
    return _at_least(frames, low)


def relative_threshold(
    samples: Sequence[EyeSample], threshold: float = RELATIVE_THRESHOLD
) -> list[Interval]:
    """Runs of `RELATIVE_FRAMES` and more below `threshold` of the running median."""
    recent: deque[tuple[float, float]] = deque()
    ordered: list[float] = []
    low = []
    for sample in samples:
        if sample.ear is None:
            low.append(False)
            continue
        recent.append((sample.time_s, sample.ear))
        insort(ordered, sample.ear)
        while recent[0][0] < sample.time_s - RELATIVE_MEMORY_S:
            _, old = recent.popleft()
            del ordered[bisect_left(ordered, old)]
        low.append(sample.ear < threshold * ordered[len(ordered) // 2])
    return _at_least(RELATIVE_FRAMES, low)


@contextmanager
def varied(constants: Mapping[str, float]) -> Iterator[None]:
    """Blinklog with other constants, by their names, in whatever modules use them."""
    with ExitStack() as stack:
        for name, value in constants.items():
            users = [module for module in (blinks, dips, openness) if hasattr(module, name)]
            if not users:
                raise KeyError(f"expected the name of a constant, found {name}")
            for module in users:
                stack.enter_context(patch.object(module, name, value))
        yield


def _at_least(frames: int, flags: Sequence[bool]) -> list[Interval]:
    return [(first, last) for first, last in spans(flags) if last - first + 1 >= frames]


def _intervals(samples: Sequence[EyeSample], found: Sequence[Blink]) -> list[Interval]:
    times = [sample.time_s for sample in samples]
    return [(bisect_left(times, e.start_s), bisect_left(times, e.end_s)) for e in found]
