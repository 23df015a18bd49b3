"""A person's usual range: the one definition, for pages and alerts. Pure: no clock, no database.

    values of the four weeks' days -> square roots -> Student's prediction interval -> squares

A new day of somebody who stays as they are lies inside 19 times of 20. A prediction interval for
one more value takes account of how few days there are (Hahn and Meeker 1991). Rates and shares are
not negative and spread more where they are larger; their square roots spread evenly. bench/usual.py
checks it with simulated people.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist, fmean, stdev

from server.session_data.summary.statistics import Measured, by_day, value_of

USUAL_DAYS = 28
# With fewer days, the range is so wide that nothing would be outside.
DAYS_NEEDED = 7
INSIDE = 0.95

# Half of the narrowest range, so that a few similar days don't make every other day unusual: one
# blink per minute, one percent of the time. Both are within the scatter of the measurement.
NARROWEST = {"blink_rate_per_min": 1.0, "perclos": 0.01, "ear_mean": 0.01}


@dataclass(frozen=True)
class Range:
    """A range of a person's own values, from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Usual:
    """What is usual of one metric, from the values of `days` days: `middle`, `half` as roots.

    `middle` and `half` are `None` with too few days. `narrowest` is half of the
    narrowest range, not a root.
    """

    days: int
    middle: float | None = None
    half: float | None = None
    narrowest: float = 0

    def range(self, times: float = 1) -> Range | None:
        """Return the usual range, or one that is `times` as wide. `None` with too few days."""
        if self.middle is None or self.half is None:
            return None
        centre, least = self.middle**2, times * self.narrowest
        low = max(0.0, self.middle - times * self.half) ** 2
        high = (self.middle + times * self.half) ** 2
        return Range(max(0.0, min(low, centre - least)), max(high, centre + least))


def usual(sessions: Iterable[Measured], key: str, before: date, least: int = DAYS_NEEDED) -> Usual:
    """Return what is usual of a metric in the four weeks before a day, by the days' values.

    With fewer than `least` days, two or more, there is no range.
    """
    first, last = before - timedelta(days=USUAL_DAYS), before - timedelta(days=1)
    groups = by_day(sessions, first, last).values()
    found = (value_of(group, key) for group in groups)
    return usual_of([value for value in found if value is not None], key, least)


def usual_of(values: Sequence[float], key: str, least: int = DAYS_NEEDED) -> Usual:
    """Return what is usual by the values of a person's days."""
    n = len(values)
    if n < least:
        return Usual(n)
    roots = [math.sqrt(max(value, 0.0)) for value in values]
    half = student((1 + INSIDE) / 2, n - 1) * stdev(roots) * math.sqrt(1 + 1 / n)
    return Usual(n, fmean(roots), half, NARROWEST.get(key, 0))


def student(p: float, degrees: int) -> float:
    """Return the `p` quantile of Student's t distribution, to 0.001 from four degrees of freedom.

    By the expansion in Abramowitz and Stegun 1964, 26.7.5.
    """
    z = NormalDist().inv_cdf(p)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / degrees**power for power, term in enumerate(terms))
