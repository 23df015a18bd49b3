"""The blinks that are found in schedules of lids, and eyes that look down or are shut."""

import random
from collections.abc import Sequence

from hypothesis import settings

from agent.measure.blinks import BlinkDetector
from agent.measure.gaze import DOWN_IRIS, SHUT_IRIS
from agent.records import Blink, EyeSample
from tests.agent.traces import Lids, sample

ENOUGH = settings(max_examples=40)

# Irises and lower lids of eyes that look down or are shut
FPS = 32.0
"""A power of two: sums of frames are exact."""
OPEN_LID = 0.08
DOWN, CLOSED = (DOWN_IRIS + 0.01, OPEN_LID), (SHUT_IRIS - 0.01, 0.2 * OPEN_LID)
BETWEEN = ((DOWN_IRIS + SHUT_IRIS) / 2, OPEN_LID)
Seen = tuple[float | None, float | None]


def found(samples: Sequence[EyeSample]) -> list[Blink]:
    detector = BlinkDetector()
    events = [event for each in samples for event in detector.add(each)]
    return events + detector.finish()


def blinks(samples: Sequence[EyeSample]) -> list[Blink]:
    return [event for event in found(samples) if not event.long]


def counted_right(events: Sequence[Blink], lids: Sequence[Lids]) -> bool:
    """One event for each closure, at its time, and no other."""
    return len(events) == len(lids) and all(
        event.start_s < each.end_s and event.end_s > each.at_s
        for event, each in zip(events, lids, strict=True)
    )


def ears(levels: Sequence[tuple[float, float]], noise: float = 0.003) -> list[EyeSample]:
    """A trace at 30 frames a second that holds each (EAR, for seconds) in turn."""
    chance = random.Random(1)
    samples: list[EyeSample] = []
    for level, duration_s in levels:
        for _ in range(round(duration_s * 30)):
            samples.append(sample(len(samples) / 30, level + chance.gauss(0, noise)))
    return samples


ONE = [Lids(5.0)]
