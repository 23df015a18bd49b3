"""Frame rate limit: choose which frames to keep from a source that delivers too many."""

import math

EARLY = 1 / 3
"""Fraction of a period by which a frame may be early: sources jitter by a few milliseconds."""


class Pace:
    """Keeps at most `fps` frames per second, evenly spaced. With infinity it keeps all."""

    def __init__(self, fps: float) -> None:
        self._period_s = 1 / fps
        self._due_s = self._last_s = -math.inf

    def takes(self, time_s: float) -> bool:
        """Return whether to keep the frame at `time_s`.

        Times must be increasing. After a gap the spacing starts over.
        """
        # A frame that is early by more than half the source's interval: the next one is nearer.
        early_s = min(EARLY * self._period_s, (time_s - self._last_s) / 2)
        self._last_s = time_s
        late_s = time_s - self._due_s
        if late_s < -early_s:
            return False
        self._due_s = self._period_s + (self._due_s if late_s < self._period_s else time_s)
        return True
