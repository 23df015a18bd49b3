"""Irises and lower lids as they are seen of eyes that look down or are shut."""

from agent.measure.gaze import (
    DOWN_IRIS,
    SHUT_IRIS,
)

FPS = 32.0
"""A power of two: sums of frames are exact."""
OPEN_LID = 0.08
DOWN, CLOSED = (DOWN_IRIS + 0.01, OPEN_LID), (SHUT_IRIS - 0.01, 0.2 * OPEN_LID)
BETWEEN = ((DOWN_IRIS + SHUT_IRIS) / 2, OPEN_LID)
Seen = tuple[float | None, float | None]
