"""Axes: round numbers for the marks, and which labels fit at which width."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Tick = tuple[float, str]

# Values below this are shown as 0; near the smallest float the logarithm for the step fails.
NOTHING = 1e-6
# Decimals of the smallest step, and one more for where the axis starts.
MOST_DECIMALS = 8

# Widths of a plot, in rem, from which the style sheet shows more labels (`.from-14` and so on).
WIDTHS = (14, 20, 28, 38, 50, 62)
# In rem: the widest usual character, and the space between two labels.
CHARACTER, BETWEEN = 0.45, 0.8


@dataclass(frozen=True)
class Scale:
    """A linear scale from `low` to `high`; positions are percentages."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Return the position of a value from the left, or from the bottom."""
        return (value - self.low) / (self.high - self.low) * 100

    def down(self, value: float) -> float:
        """Return the position of a value from the top."""
        return 100 - self.at(value)


def nice_top(highest: float, steps: int = 4) -> tuple[float, float]:
    """Return a round axis end at or above `highest` and its step: 1, 2 or 5 by a power of 10."""
    if highest < NOTHING:
        return 1.0, 1.0
    rough = highest / steps
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough * (1 - 1e-9))
    return step * math.ceil(highest / step - 1e-8), step


def marks_between(bottom: float, top: float) -> list[float]:
    """Return the marks of an axis from `bottom` to a round distance above it, at least to `top`."""
    height, step = nice_top(top - bottom)
    return [bottom + n * step for n in range(round(height / step) + 1)]


def decimals_of(marks: Sequence[float]) -> int:
    """Return the fewest decimals that show each mark exactly: 0.15, 0.25 need two."""
    dust = (marks[1] - marks[0]) / 1000
    return next(
        (n for n in range(MOST_DECIMALS) if all(abs(round(m, n) - m) < dust for m in marks)),
        MOST_DECIMALS,
    )


def with_widths(ticks: Sequence[Tick]) -> list[tuple[Tick, int]]:
    """Return each tick and the width from which its label fits: one of `WIDTHS`, or 0 for always.

    Wider charts show every tick, narrower ones every second, fourth and so on. A tick that fits
    in no width is left out.
    """
    longest = max((len(text) for _at, text in ticks), default=0) * CHARACTER + BETWEEN
    found = []
    for n, tick in enumerate(ticks):
        every = n & -n  # the largest power of two that divides n
        needed = longest * math.ceil(len(ticks) / every) if n else 0
        width = next((width for width in (0, *WIDTHS) if width >= needed), None)
        if width is not None:
            found.append((tick, width))
    return found


def axis_minutes(minutes: float) -> int:
    """Return the length of a minute axis: at least ten, so that a new session has room to grow."""
    return max(math.ceil(minutes), 10)


def minute_ticks(count: int) -> list[Tick]:
    """Return the ticks of an axis of so many minutes."""
    every = next((n for n in (1, 2, 5, 10, 15, 30, 60) if count / n <= 10), 120)
    return [(n, str(n)) for n in range(0, count + 1, every)]
