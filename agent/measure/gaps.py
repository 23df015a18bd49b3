"""Gaps in which the face was unseen for so long that a blink could have been missed."""

from collections import deque

UNSEEN_S = 0.5
"""A longer time without a trustworthy face could hide a blink, which lasts up to 500 ms."""


class Gaps:
    """The ends of the gaps in which a blink could have been missed."""

    def __init__(self) -> None:
        self._last_valid_s: float | None = None
        # A blink is decided within 2 s of its start: at most four gaps can end after it.
        self._ends: deque[float] = deque(maxlen=4)

    def add(self, time_s: float) -> None:
        """Note that a trustworthy face was seen."""
        if self._last_valid_s is not None and time_s - self._last_valid_s > UNSEEN_S:
            self._ends.append(time_s)
        self._last_valid_s = time_s

    def forget_until(self, time_s: float) -> bool:
        """Forget the gaps that ended up to `time_s`; return whether there were any."""
        passed = [end for end in self._ends if end <= time_s]
        for _ in passed:
            self._ends.popleft()
        return bool(passed)
