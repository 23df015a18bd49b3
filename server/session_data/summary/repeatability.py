"""How much a person's own days differ, and how large a change is more than that. Pure.

    values of the days -> within-person standard deviation -> 1.96 x sqrt(2) x that

Two days of somebody who stays as they are differ by less than the repeatability coefficient 19
times of 20 (Bland and Altman 1996, BMJ 313:744). Days differ for many reasons, so this includes
more than the error of the measurement.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

from server.session_data.summary.usual import DAYS_NEEDED

FACTOR = 1.96 * math.sqrt(2)


@dataclass(frozen=True)
class Repeatability:
    """The standard deviation of days, and the smallest difference of two days beyond it."""

    deviation: float
    difference: float


def repeatability(values: Sequence[float]) -> Repeatability | None:
    """Return it for the values of a person's days; `None` for fewer than `DAYS_NEEDED`."""
    if len(values) < DAYS_NEEDED:
        return None
    deviation = stdev(values)
    return Repeatability(deviation, FACTOR * deviation)
