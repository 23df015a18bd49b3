"""Whether the left and the right eye closed differently in a session's blinks. Pure.

    closure of both eyes, blink by blink -> right minus left -> interval of the median difference

The interval is that of the sign test: its ends are two of the ordered differences, so that it holds
whatever the scatter looks like, and a few wild blinks don't move it (Conover 1999, section 3.2).
bench/eyes.py checks it with simulated sessions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Any

# How often the true median difference is outside the interval, at most.
ERROR = 0.01
# Eyes that close alike were measured to differ by up to 0.07 (docs/accuracy.md, `bench.grid`), and
# an eye that closes by 0.6 differs by 0.31 from one that shuts.
LEAST_DIFFERENCE = 0.2
# The interval of fewer blinks has no ends, or is as wide as all of them.
BLINKS_NEEDED = 10
# An eye that closes by less did not close: the device asks as much of one eye in each blink.
NOT_CLOSED = 0.5
# Up to so many blinks, the binomial distribution is computed exactly.
EXACT = 1000

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Eyes:
    """Both eyes in the blinks in which both were seen.

    `difference` is the median of right minus left, between `low` and `high` 99 times of 100.
    `left_open` and `right_open` count the blinks in which only the other eye closed.
    """

    blinks: int
    difference: float
    low: float
    high: float
    left_open: int
    right_open: int

    @property
    def differ(self) -> bool:
        """Whether the whole interval is beyond `LEAST_DIFFERENCE`."""
        return self.low > LEAST_DIFFERENCE or self.high < -LEAST_DIFFERENCE


def eyes_of(columns: Columns | None) -> Eyes | None:
    """Compare the eyes, from a document's columns of blinks; `None` with too few blinks."""
    left, right = ((columns or {}).get(name) for name in ("closure_left", "closure_right"))
    if left is None or right is None:
        return None
    return compared([pair for pair in zip(left, right, strict=True) if None not in pair])


def compared(pairs: Sequence[tuple[float, float]]) -> Eyes | None:
    """Compare the closures of the left and the right eye, pair by pair."""
    if len(pairs) < BLINKS_NEEDED:
        return None
    differences = sorted(right - left for left, right in pairs)
    rank = rank_of(len(differences))
    return Eyes(
        blinks=len(differences),
        difference=median(differences),
        low=differences[rank - 1],
        high=differences[-rank],
        left_open=sum(left < NOT_CLOSED <= right for left, right in pairs),
        right_open=sum(right < NOT_CLOSED <= left for left, right in pairs),
    )


def rank_of(count: int) -> int:
    """Return which of the ordered values, from either end, are the ends of the interval.

    It is the largest k with P(X < k) <= `ERROR` / 2, where X is binomial with probability 1/2.
    """
    if count > EXACT:
        z = NormalDist().inv_cdf(1 - ERROR / 2)
        return math.floor((count - z * math.sqrt(count)) / 2)
    allowed, below, ways, rank = 2**count * ERROR / 2, 0, 1, 0
    while below + ways <= allowed:
        below, ways, rank = below + ways, ways * (count - rank) // (rank + 1), rank + 1
    return rank
