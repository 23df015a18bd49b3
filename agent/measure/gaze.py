"""Tells looking down from shut eyes. In both the upper lid covers the eye, and EAR falls alike.

Two measurements separate them. The iris turns down with the gaze: its centre lies 0.03 to 0.06 of
the eye's width below the line through the corners, in a shut eye at most 0.02. And the lower lid
rises as an eye shuts, but stays in place when it looks down.

    stretch of lids that are at least 80 % closed     is
    ------------------------------------------------  ------------
    shorter than `MIN_STRETCH_S`                      shut
    iris at `DOWN_IRIS` or lower, and the lower lid   looking down
    at `DOWN_LID` of its open position or lower
    iris above `SHUT_IRIS`                            shut
    any other, or the iris was not seen for longer    unclear: counted as shut, and flagged
    than `MAX_UNSEEN_S`
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from agent.measure.dips import MAX_GAP_S
from agent.measure.levels import quantile
from agent.records import EyeSample

Kind = Literal["shut", "down", "unclear"]

MIN_STRETCH_S = 0.3
"""A blink is over by then, and a gaze rests at least this long."""

DOWN_IRIS, SHUT_IRIS = 0.035, 0.022
"""In widths of the eye below the line through its corners; means over a stretch."""

DOWN_LID = 0.45
"""Share of the lower lid's position in the open eye: in a blink it rises to 0.3 to 0.8."""

OPEN_CLOSURE = 0.3
"""Lids less closed than this show the lower lid's open position."""

MEMORY_BLOCKS, BLOCK_S = 40, 0.5
"""The open position is the median of the medians of this many blocks, 20 s of open eyes, like the
open level of EAR."""

MAX_UNSEEN_S = 0.25
"""The iris is measured several times a second, not in every frame."""

KEEP_STRETCHES = 8
"""A long closure is decided within a second of its end."""


@dataclass(slots=True)
class Stretch:
    """A time with lids at least 80 % closed.

    `iris` and `lid` are sums over the `seen_s` seconds in which the iris was seen. `unseen_s` is
    the time since it was last seen, `longest_unseen_s` the longest such time. `weights` holds valid
    seconds by minute.
    """

    start_s: float
    end_s: float
    iris: float = 0.0
    lid: float = 0.0
    seen_s: float = 0.0
    unseen_s: float = 0.0
    longest_unseen_s: float = 0.0
    weights: dict[int, float] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Duration in seconds, from its first frame to its last."""
        return self.end_s - self.start_s


class Gaze:
    """Follows the stretches of closed lids and classifies each."""

    def __init__(self) -> None:
        self._stretch: Stretch | None = None
        self._recent: deque[tuple[Stretch, Kind]] = deque(maxlen=KEEP_STRETCHES)
        self._lid = _OpenLid()
        self.seen = False
        """Whether any frame has shown an iris."""

    def add(
        self, sample: EyeSample, closure: float, closed: bool, weight_s: float, minute: int
    ) -> tuple[Stretch, Kind] | None:
        """Take one sample of a trustworthy face; return the stretch that ended before it, if any.

        `closure` is 0 for open lids and 1 for shut ones; `weight_s` is the valid time before it.
        """
        ended = None
        self.seen = self.seen or sample.iris is not None
        stretch = self._stretch
        if stretch is not None and not (closed and sample.time_s - stretch.end_s <= MAX_GAP_S):
            ended = self.end()
        if closed:
            self._lengthen(sample, weight_s, minute)
        elif closure < OPEN_CLOSURE and sample.lower_lid is not None:
            self._lid.add(sample.time_s, sample.lower_lid)
        return ended

    def end(self) -> tuple[Stretch, Kind] | None:
        """End the current stretch, if there is one, and return it."""
        if self._stretch is None:
            return None
        ended = self._stretch, self._kind(self._stretch)
        self._recent.append(ended)
        self._stretch = None
        return ended

    def under_way(self) -> tuple[Stretch, Kind] | None:
        """Return the current stretch and its kind so far, or None."""
        return None if self._stretch is None else (self._stretch, self._kind(self._stretch))

    def was_down(self, start_s: float, end_s: float) -> bool:
        """Return whether most of the closed time between the two times was looking down."""
        stretches = [*self._recent, *filter(None, [self.under_way()])]
        down_s = shut_s = 0.0
        for stretch, kind in stretches:
            shared_s = min(end_s, stretch.end_s) - max(start_s, stretch.start_s)
            if shared_s > 0 and kind == "down":
                down_s += shared_s
            elif shared_s > 0:
                shut_s += shared_s
        return down_s > shut_s

    def _lengthen(self, sample: EyeSample, weight_s: float, minute: int) -> None:
        if self._stretch is None:
            self._stretch = Stretch(sample.time_s, sample.time_s)
        stretch = self._stretch
        stretch.end_s = sample.time_s
        stretch.weights[minute] = stretch.weights.get(minute, 0.0) + weight_s
        stretch.unseen_s += weight_s
        if sample.iris is None or sample.lower_lid is None:
            stretch.longest_unseen_s = max(stretch.longest_unseen_s, stretch.unseen_s)
        else:
            stretch.iris += stretch.unseen_s * sample.iris
            stretch.lid += stretch.unseen_s * sample.lower_lid
            stretch.seen_s += stretch.unseen_s
            stretch.unseen_s = 0.0

    def _kind(self, stretch: Stretch) -> Kind:
        if stretch.duration_s < MIN_STRETCH_S:
            return "shut"
        if stretch.longest_unseen_s > MAX_UNSEEN_S or stretch.seen_s <= 0:
            return "unclear"
        iris, lid, open_lid = stretch.iris, stretch.lid, self._lid.place
        if iris <= SHUT_IRIS * stretch.seen_s:
            return "shut"
        lowered = open_lid is None or lid >= DOWN_LID * open_lid * stretch.seen_s
        return "down" if iris >= DOWN_IRIS * stretch.seen_s and lowered else "unclear"


class _OpenLid:
    """The lower lid's position in the open eye, in widths of the eye below the corners."""

    def __init__(self) -> None:
        self.place: float | None = None
        self._block: list[float] = []
        self._block_ends_s = 0.0
        self._blocks: deque[float] = deque(maxlen=MEMORY_BLOCKS)

    def add(self, time_s: float, place: float) -> None:
        if self._block and time_s >= self._block_ends_s:
            self._blocks.append(quantile(sorted(self._block), 0.5))
            self.place = quantile(sorted(self._blocks), 0.5)
            self._block.clear()
        if not self._block:
            self._block_ends_s = time_s + BLOCK_S
        self._block.append(place)
