"""Learn a person's open and closed levels from past samples. Openness is EAR between the two.

People, glasses, cameras and angles differ too much for a fixed threshold: a shut eye may read as a
twentieth or as a half of the open one. Both levels are therefore learned: the open level from
samples outside closures (a baseline that follows the closures inflates recall), the closed level
from the depths of the blinks.
"""

import math
from collections import deque
from collections.abc import Sequence

from agent.records import EyeSample

MIN_FACE_SCORE = 0.5
"""The mesh's score is the probability of a face. Below 0.5 its lids are not used."""

MIN_EAR = 0.001
"""Smallest EAR, so that shares of the level stay finite."""

BLOCK_S = 0.5
"""The open level is learned in steps of this length, long enough to outvote a blink."""

MEMORY_BLOCKS = 40
"""20 s of open eyes: a higher level is accepted after 5 s, a lower one after 15 s."""

OPEN_QUANTILE = 0.75
"""Quantile of the remembered steps: looking down for a while must not pass for open eyes."""

USUAL_DEPTH = 0.7
"""Assumed until blinks were seen. In most blinks a shut eye reads as 0.04 to 0.35 of the open one;
in some, through spectacles or half turned away, as up to 0.6."""

ENOUGH_DEPTHS = 8
"""With this many blinks the person's own depth is known. `USUAL_DEPTH` stands for missing ones."""

MEMORY_DEPTHS = 24
"""The blinks of the last one or two minutes: glasses may come off."""

DEPTH_QUANTILE = 0.67
"""Quantile of the remembered blinks: about half of spontaneous blinks are partial (Ousler 2014)."""

JUMP, JUMP_BLOCKS = 1.5, 2
"""Eyes that are this much wider open for a second were not open before. A session that begins with
a look down, or with shut eyes, thus has its level within a second of their opening. Earlier blinks
are forgotten: lowered lids fall less far."""

FROZEN_CLOSURE = 0.5
"""With the lids at least half way down a sample is not used for the open level."""


def trusted_ear(sample: EyeSample) -> float | None:
    """Return EAR of a trustworthy face, above 0; None without a face or below `MIN_FACE_SCORE`."""
    if sample.ear is None or math.isnan(sample.ear):
        return None
    if sample.score is not None and sample.score < MIN_FACE_SCORE:
        return None
    return max(sample.ear, MIN_EAR)


def quantile(ordered: Sequence[float], q: float) -> float:
    """Return the `q` quantile of ascending values (at least one), linearly interpolated."""
    place = q * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


class Levels:
    """The person's open and closed levels. Constant memory; a few operations per sample."""

    def __init__(self) -> None:
        self._block: list[float] = []
        self._block_ends_s = -math.inf
        self._blocks: deque[float] = deque(maxlen=MEMORY_BLOCKS)
        self._depths: deque[float] = deque(maxlen=MEMORY_DEPTHS)
        self._open: float | None = None
        self._depth = USUAL_DEPTH

    @property
    def open(self) -> float | None:
        """EAR with the lids open; None before the first face."""
        return self._open

    @property
    def closed(self) -> float | None:
        """EAR with the lids shut; None before the first face."""
        return None if self._open is None else self._open * (1 - self._depth)

    @property
    def depth(self) -> float:
        """How far EAR falls in a complete blink, as a share of the open level, 0..1."""
        return self._depth

    def closure(self, ear: float) -> float:
        """Return how far the lids are down: 0 at the open level, 1 at the closed one, unclipped."""
        return 0.0 if self._open is None else (1 - ear / self._open) / self._depth

    def add(self, time_s: float, ear: float) -> None:
        """Learn from one sample of a trustworthy face."""
        if time_s >= self._block_ends_s:
            self._end_block()
            self._block_ends_s = time_s + BLOCK_S
        if self.closure(ear) < FROZEN_CLOSURE:
            self._block.append(ear)
            if not self._blocks:
                self._open = quantile(sorted(self._block), OPEN_QUANTILE)

    def learn_depth(self, depth: float) -> None:
        """Learn from one blink that EAR fell by `depth`, a share of the level it fell from."""
        self._depths.append(depth)
        unknown = max(0, ENOUGH_DEPTHS - len(self._depths))
        self._depth = quantile(sorted([*self._depths, *[USUAL_DEPTH] * unknown]), DEPTH_QUANTILE)

    def learn_open(self, level: float) -> None:
        """Learn that the lids were open at `level`, as a blink that began there proves.

        If `level` is so low that it counted as closed, it replaces the remembered levels. Otherwise
        they would stay frozen for ever when glasses, pose or camera change with open eyes.
        """
        if self.closure(level) >= FROZEN_CLOSURE:
            self._blocks.clear()
            self._block.clear()
            self._blocks.append(level)
            self._open = level

    def _end_block(self) -> None:
        if self._block:
            self._block.sort()
            self._blocks.append(quantile(self._block, 0.5))
            self._block.clear()
            newest = list(self._blocks)[-JUMP_BLOCKS:]
            before = math.inf if self._open is None else self._open
            if len(newest) == JUMP_BLOCKS and min(newest) > JUMP * before:
                self._blocks = deque(newest, maxlen=MEMORY_BLOCKS)
                self._depths.clear()
                self._depth = USUAL_DEPTH
            self._open = quantile(sorted(self._blocks), OPEN_QUANTILE)
