"""Searches for other faces in the picture every few seconds while one face is tracked.

The search is spread over four frames so that none takes long: each makes one of the calls of
`Detector.find`.
"""

import math
from collections.abc import Callable, Iterator

from agent.face.crops import Region
from agent.face.detector import Detector
from agent.records import Frame

OTHERS_S, OTHERS_SIZE = 5.0, 0.4
"""How often to look, in seconds, and the minimum size of another face, as a share of the tracked
one: smaller faces are far away."""

BESIDE = 0.45
"""Minimum distance between two faces, in widths of the larger one's region. Regions are 1.5 times
as wide as their faces, so faces that touch are 0.67 apart, or 0.5 if one is twice as wide."""


class OtherFaces:
    """Whether there are other faces about as near as the tracked one."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.reset()

    def reset(self) -> None:
        """Look in the next frame."""
        self._due_s = -math.inf
        self.forget()

    def forget(self) -> None:
        """Drop the search: the detector runs for something else."""
        self._view: Region | None = None
        self._runs: Iterator[Callable[[], None]] = iter(())

    def is_due(self, time_s: float) -> bool:
        """Return whether `look` would do anything."""
        return self._view is not None or time_s >= self._due_s

    def look(self, frame: Frame, whole: Region, tracked: Region) -> bool | None:
        """Take the next step of a search of the view `whole`.

        Returns whether there are other faces, or None if that is not known in this frame.
        """
        if self._view is None:
            if frame.time_s >= self._due_s:
                self._start(frame, whole)
            return None
        if (run := next(self._runs, None)) is not None:
            run()
            return None
        view, self._view = self._view, None
        return any(_is_other(tracked, each) for each in self._detector.found(view))

    def _start(self, frame: Frame, whole: Region) -> None:
        self._due_s = frame.time_s + OTHERS_S
        self._detector.see(frame, whole)
        self._view = whole
        self._runs = iter((self._detector.run_stem, self._detector.run_head))


def _is_other(tracked: Region, found: Region) -> bool:
    """Return whether `found` is beside the tracked face, and not around or inside it.

    In the dark, the detector takes a small face and what surrounds it for a large one.
    """
    larger, smaller = sorted((tracked, found), key=lambda region: region.size, reverse=True)
    return larger.distance(smaller) > BESIDE and found.size > OTHERS_SIZE * tracked.size
