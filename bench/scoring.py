"""Scoring of detected against labelled blinks, after Fogelton & Benesova (CVIU 2016).

A blink is an inclusive frame interval. A detection is true if its intersection over union with a
labelled blink is above 0.2, one to one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MIN_IOU = 0.2

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Score:
    """Counts that can be pooled by adding."""

    true: int = 0
    false: int = 0
    missed: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.true + other.true, self.false + other.false, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """0..1; 1 without any detection, as none of them is wrong."""
        found = self.true + self.false
        return self.true / found if found else 1.0

    @property
    def recall(self) -> float:
        """0..1; 1 without any label."""
        labelled = self.true + self.missed
        return self.true / labelled if labelled else 1.0

    @property
    def f1(self) -> float:
        """0..1; 1 where there is nothing to find and nothing was found."""
        total = 2 * self.true + self.false + self.missed
        return 2 * self.true / total if total else 1.0


def iou(a: Interval, b: Interval) -> float:
    """Intersection over union of two inclusive intervals, 0..1."""
    shared = min(a[1], b[1]) - max(a[0], b[0]) + 1
    if shared <= 0:
        return 0.0
    return shared / (a[1] - a[0] + b[1] - b[0] + 2 - shared)


def pairs(found: Sequence[Interval], labelled: Sequence[Interval]) -> list[tuple[int, int]]:
    """Indices (into `found`, into `labelled`) that belong together, the best overlap first."""
    candidates = sorted(
        (
            (iou(a, b), i, j)
            for i, a in enumerate(found)
            for j, b in enumerate(labelled)
            if a[0] <= b[1] and b[0] <= a[1]
        ),
        reverse=True,
    )
    matched: list[tuple[int, int]] = []
    used_found: set[int] = set()
    used_labelled: set[int] = set()
    for overlap, i, j in candidates:
        if overlap > MIN_IOU and i not in used_found and j not in used_labelled:
            matched.append((i, j))
            used_found.add(i)
            used_labelled.add(j)
    return matched


def score(
    found: Sequence[Interval],
    labelled: Sequence[Interval],
    ignored: Iterable[Interval] = (),
) -> Score:
    """The score of one recording. What is found in an ignored span alone is not false."""
    matched = pairs(found, labelled)
    true = {i for i, _ in matched}
    spans = list(ignored)
    false = [
        a
        for i, a in enumerate(found)
        if i not in true and not any(a[0] <= span[1] and span[0] <= a[1] for span in spans)
    ]
    return Score(len(matched), len(false), len(labelled) - len(matched))


def spans(flags: Sequence[int]) -> list[Interval]:
    """The runs of frames that are marked 1, as inclusive intervals."""
    found: list[Interval] = []
    start: int | None = None
    for frame, flag in enumerate([*flags, 0]):
        if flag and start is None:
            start = frame
        elif not flag and start is not None:
            found.append((start, frame - 1))
            start = None
    return found
