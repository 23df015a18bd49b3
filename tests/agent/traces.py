"""Traces whose blinks are known exactly: lids that move by a schedule, seen by a camera."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.records import EyeSample

OPEN = 0.30


@dataclass(frozen=True)
class Lids:
    """One closure. `duration_s` is at half amplitude; `depth` is the share of the open EAR lost."""

    at_s: float
    duration_s: float = 0.2
    depth: float = 0.6
    closing_s: float = 0.07
    opening_s: float = 0.14

    @property
    def end_s(self) -> float:
        """When the lids are up again."""
        return self.at_s + self.duration_s + (self.closing_s + self.opening_s) / 2

    def down(self, time_s: float) -> float:
        """How far the lids are down at `time_s`, 0..1; they start and stop smoothly."""
        falling = (time_s - self.at_s) / self.closing_s
        rising = (self.end_s - time_s) / self.opening_s
        return _smooth(min(falling, rising))


def _smooth(share: float) -> float:
    share = min(1.0, max(0.0, share))
    return (1 - math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Camera:
    """How the lids are seen: frames a second, jitter of their times in seconds, share lost."""

    fps: float = 30.0
    jitter_s: float = 0.0
    dropped: float = 0.0
    noise: float = 0.003
    scale: float = 1.0
    seed: int = 0

    def see(self, lids: Sequence[Lids], duration_s: float, start_s: float = 0.0) -> list[EyeSample]:
        """The samples; `noise` is the standard deviation of the EAR, an absolute number."""
        chance = random.Random(self.seed)
        samples = []
        for frame in range(int(duration_s * self.fps)):
            time_s = frame / self.fps + chance.uniform(-1, 1) * self.jitter_s
            noise = chance.gauss(0.0, self.noise)
            if chance.random() < self.dropped:
                continue
            lost = max((each.depth * each.down(time_s) for each in lids), default=0.0)
            ear = self.scale * max(0.005, OPEN * (1 - lost) + noise)
            samples.append(sample(start_s + time_s, ear))
        return samples


def sample(time_s: float, ear: float | None, score: float | None = 0.99) -> EyeSample:
    """One frame of both eyes alike; without EAR, one without a face."""
    return EyeSample(time_s, ear, ear, ear, None if ear is None else score)


def without_face(samples: Sequence[EyeSample], start_s: float, end_s: float) -> list[EyeSample]:
    """The same frames with the face lost from `start_s` to `end_s`."""
    return [
        sample(each.time_s, None) if start_s <= each.time_s <= end_s else each for each in samples
    ]


def doubted(samples: Sequence[EyeSample], start_s: float, end_s: float) -> list[EyeSample]:
    """The same frames with a face that the mesh doubts from `start_s` to `end_s`."""
    return [
        replace(each, score=0.2) if start_s <= each.time_s <= end_s else each for each in samples
    ]
