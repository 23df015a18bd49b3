"""A session's blinks in little memory: 50 bytes for each, where objects take 300."""

import math
from array import array
from collections.abc import Iterator

from agent.records import Blink


class Counted:
    """The blinks in order of time, by columns.

    `start_s`, `duration_s`, `amplitude`, `closure_left` and `closure_right` are as in `Blink`; NaN
    stands for an eye that was not seen. `complete` and `after_gap` hold 0 or 1 for each blink:
    `after_gap` is 1 if the face was unseen between the blink before and this one.
    """

    def __init__(self) -> None:
        self.start_s = array("d")
        self.end_s = array("d")
        self.duration_s = array("d")
        self.amplitude = array("d")
        self.closure_left = array("d")
        self.closure_right = array("d")
        self.complete = bytearray()
        self.after_gap = bytearray()

    def add(self, blink: Blink, *, after_gap: bool) -> None:
        """Add the next blink."""
        self.start_s.append(blink.start_s)
        self.end_s.append(blink.end_s)
        self.duration_s.append(blink.duration_s)
        self.amplitude.append(blink.amplitude)
        self.closure_left.append(_number(blink.closure_left))
        self.closure_right.append(_number(blink.closure_right))
        self.complete.append(blink.complete)
        self.after_gap.append(after_gap)

    def __len__(self) -> int:
        return len(self.start_s)

    def __iter__(self) -> Iterator[Blink]:
        """Return the blinks as they were added."""
        for at, start_s in enumerate(self.start_s):
            yield Blink(
                start_s=start_s,
                end_s=self.end_s[at],
                duration_s=self.duration_s[at],
                amplitude=self.amplitude[at],
                complete=bool(self.complete[at]),
                closure_left=known(self.closure_left[at]),
                closure_right=known(self.closure_right[at]),
            )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def known(number: float) -> float | None:
    """Return the number, or None for NaN."""
    return None if math.isnan(number) else number
