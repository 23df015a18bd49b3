"""A frame rate that is kept: which frames to take of a source that gives more than that."""

import math

EARLY = 1 / 3
"""So much of a period early a frame still counts as due: sources jitter by a few milliseconds."""


class Pace:
    """Takes at most `fps` frames a second, on an even beat; infinity takes all."""

    def __init__(self, fps: float) -> None:
        self._period_s = 1 / fps
        self._due_s = self._last_s = -math.inf

    def takes(self, time_s: float) -> bool:
        """Whether this frame is due. Times come in order; after a gap the beat begins anew."""
        early_s = min(EARLY * self._period_s, (time_s - self._last_s) / 2)  # the next is not nearer
        self._last_s = time_s
        late_s = time_s - self._due_s
        if late_s < -early_s:
            return False
        self._due_s = self._period_s + (self._due_s if late_s < self._period_s else time_s)
        return True
