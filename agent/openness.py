"""The person's own open and closed level: openness is EAR relative to these two."""

from collections import deque

from agent.records import EyeSample

MIN_FACE_SCORE = 0.5
"""The mesh's score is the probability of a face: below even odds its lids are no evidence."""

CLOSED_SHARE = 0.35
"""The mesh reads a shut eye as about a third of an open one: believed until one was seen."""


def trusted_ear(sample: EyeSample) -> float | None:
    """EAR of a trustworthy face; `None` without a face or with one the mesh doubts."""
    if sample.score is not None and sample.score < MIN_FACE_SCORE:
        return None
    return sample.ear


class Levels:
    """The open and closed level, learned causally from this person alone."""

    def __init__(self, memory_s: float = 10.0) -> None:
        self._memory_s = memory_s
        self._recent: deque[tuple[float, float]] = deque()
        self._open: float | None = None

    @property
    def open(self) -> float | None:
        """EAR with the lids open; `None` before the first sample."""
        return self._open

    @property
    def closed(self) -> float | None:
        """EAR with the lids shut; `None` before the first sample."""
        return None if self._open is None else CLOSED_SHARE * self._open

    def closure(self, ear: float) -> float:
        """How far the lids are down: 0 at the open level, 1 at the closed one."""
        if self._open is None:
            return 0.0
        return min(1.0, max(0.0, (self._open - ear) / (self._open * (1 - CLOSED_SHARE))))

    def add(self, time_s: float, ear: float) -> None:
        """Learn from one sample outside closures."""
        self._recent.append((time_s, ear))
        while self._recent[0][0] < time_s - self._memory_s:
            self._recent.popleft()
        levels = sorted(value for _, value in self._recent)
        self._open = levels[int(0.75 * (len(levels) - 1))]
