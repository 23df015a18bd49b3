"""Arrays for pictures, which are used again: the memory for them is taken once, not for each frame.

A new array of a megabyte for each frame leaves holes between the other blocks of the heap, and over
hours the heap grows by some of them.
"""

import sys

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

MOST = 4
"""The frame that is read, the newest unread one, the one that is measured, and one to spare."""


class Pictures:
    """Takes the arrays that OpenCV made, and gives back one that nobody refers to any more."""

    def __init__(self) -> None:
        self._kept: list[Pixels] = []

    def free(self) -> Pixels | None:
        """Return an array to read the next picture into; None lets OpenCV make one."""
        for place in range(len(self._kept)):
            if _references(self._kept, place) == UNUSED:
                return self._kept[place]
        return None

    def keep(self, pixels: Pixels) -> None:
        """Use the array again later. Arrays of another size are forgotten."""
        if not any(each is pixels for each in self._kept):
            alike = [each for each in self._kept if each.shape == pixels.shape]
            self._kept = [*alike, pixels][-MOST:]


def _references(arrays: list[Pixels], place: int) -> int:
    """Count the references to an array. A view of it, as of a part of the picture, is one."""
    return sys.getrefcount(arrays[place])


UNUSED = _references([np.empty(1, np.uint8)], 0)
"""The count for an array that only its list refers to."""
