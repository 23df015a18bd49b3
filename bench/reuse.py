"""Could an inference be saved where nothing moves? `python -m bench.reuse [--json]`.

A frame is compared with the one that was inferred last, not with the one before: so changes can't
add up unseen. Where the grey of both eyes, and of the face around them, differs by less than a
bound, its landmarks are taken over. Printed is what that would have saved, and at which error.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent import models
from agent.capture import ReplayCamera
from agent.ear import LEFT_EYE, RIGHT_EYE, eye_sample
from agent.errors import ModelError
from agent.landmarks import FaceTracker
from agent.records import EyeSample, FaceLandmarks, Frame
from agent.replay import frames_of
from bench.detectors import events
from bench.grid import schedule
from bench.recordings import default_data, read_clips
from bench.scoring import Score, score
from scripts.portrait import load_portrait, sway

BOUNDS = ((4.0, 6.0), (8.0, 12.0))
"""Grey levels, of the eyes and of the face."""

SECONDS = 20.0
CELLS = ((24, 16), (24, 16), (16, 16))
"""Each eye and the face are compared in so many cells, columns and rows."""

Greys = list[NDArray[np.float32]]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame: its grey picture, and what a full measurement finds in it."""

    grey: NDArray[np.uint8]
    face: FaceLandmarks | None
    sample: EyeSample


@dataclass(frozen=True, slots=True)
class Row:
    """Of one recording at one bound: errors are of the frames taken over, as shares of the EAR."""

    name: str
    bound: float
    frames: int
    saved: float
    error_median: float
    error_p95: float
    error_max: float
    true: int
    false: int
    missed: int


def reused(seen: Sequence[Seen], bound: tuple[float, float]) -> tuple[list[EyeSample], list[float]]:
    """The samples with landmarks taken over, and how far each of those is off."""
    samples: list[EyeSample] = []
    errors: list[float] = []
    last: tuple[list[Box], Greys, EyeSample] | None = None
    for each in seen:
        if last is not None and _alike(_greys(each.grey, last[0]), last[1], bound):
            samples.append(replace(last[2], time_s=each.sample.time_s))
            if each.sample.ear is not None and last[2].ear is not None:
                errors.append(abs(each.sample.ear - last[2].ear) / last[2].ear)
            continue
        samples.append(each.sample)
        boxes = [] if each.face is None else _boxes(each.face)
        last = (boxes, _greys(each.grey, boxes), each.sample) if boxes else None
    return samples, errors


def _boxes(face: FaceLandmarks) -> list[Box]:
    """Left, top, width, height in pixels: half as wide again as each eye, and the whole face."""
    boxes = []
    for eye in (RIGHT_EYE, LEFT_EYE):
        points = face.points[list(eye), :2]
        x, y = points.mean(axis=0)
        width = float(np.hypot(*(points[0] - points[3])))
        boxes.append((int(x - 0.75 * width), int(y - 0.5 * width), int(1.5 * width), int(width)))
    (left, top), (right, bottom) = face.points[:, :2].min(axis=0), face.points[:, :2].max(axis=0)
    return [*boxes, (int(left), int(top), int(right - left), int(bottom - top))]


def _greys(picture: NDArray[np.uint8], boxes: Sequence[Box]) -> Greys:
    greys = []
    for (x, y, width, height), cells in zip(boxes, CELLS, strict=False):
        left, top = max(x, 0), max(y, 0)
        part = picture[top : max(top + 2, y + height), left : max(left + 2, x + width)]
        small = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
        greys.append(small.astype(np.float32))
    return greys


def _alike(these: Greys, those: Greys, bound: tuple[float, float]) -> bool:
    """By the greatest change of any neighbourhood of three cells by three."""
    change = [
        float(cv2.blur(np.abs(cv2.blur(a - b, (2, 2))), (3, 3)).max())
        for a, b in zip(these, those, strict=True)
    ]
    return max(change[:2]) < bound[0] and change[2] < bound[1]


def _watch(tracker: FaceTracker, frames: Iterable[Frame]) -> list[Seen]:
    tracker.reset()
    seen = []
    for frame in frames:
        face = tracker.find(frame)
        grey = np.asarray(cv2.cvtColor(frame.pixels, cv2.COLOR_BGR2GRAY), np.uint8)
        seen.append(Seen(grey, face, eye_sample(frame.time_s, face)))
    return seen


def _portrait(noise: float, swaying: bool) -> tuple[Iterator[Frame], list[tuple[int, int]]]:
    """Its frames and true blinks, every third of which closes by 0.3."""
    lids = schedule(30, depths=(1.0, 1.0, 0.3), seconds=SECONDS)

    def frames() -> Iterator[Frame]:
        portrait = load_portrait()
        for number in range(round(30 * SECONDS)):
            look = {**(sway(number / 30) if swaying else {}), "noise": noise}
            yield Frame(number / 30, portrait.frame(lids.openness(number / 30), **look))

    return frames(), [(round(30 * each.start_s), round(30 * each.end_s)) for each in lids]


def rows(data: Path) -> list[Row]:
    """The labelled clips that have a face, and the portrait. Raises ModelError."""
    tracker = FaceTracker(*(models.load(name, models.default_cache()) for name in _MODELS))
    found = []
    for clip in read_clips(data):
        seen = _watch(tracker, frames_of(ReplayCamera(clip.path)))
        if any(each.face for each in seen):
            found += _rows(clip.path.name, seen, clip.labelled, clip.ignored)
    for name, noise, swaying in _PORTRAITS:
        frames, labelled = _portrait(noise, swaying)
        found += _rows(name, _watch(tracker, frames), labelled, [])
    return found


_MODELS = "face_detection", "face_landmark"
_PORTRAITS = (
    ("portrait, swaying", 2.0, True),
    ("portrait, still", 2.0, False),
    ("portrait, still, noise of 6", 6.0, False),
)


def _rows(name: str, seen: list[Seen], labelled: Any, ignored: Any) -> list[Row]:
    found = [_row(name, 0.0, seen, [each.sample for each in seen], [], labelled, ignored)]
    for bound in BOUNDS:
        samples, errors = reused(seen, bound)
        found.append(_row(name, bound[0], seen, samples, errors, labelled, ignored))
    return found


def _row(
    name: str, bound: float, seen: list[Seen], samples: list[EyeSample], errors: list[float],
    labelled: Any, ignored: Any,
) -> Row:  # fmt: skip
    result = _scored(samples, labelled, ignored)
    middle, high, most = np.quantile(errors or [0.0], (0.5, 0.95, 1.0)).tolist()
    saved = len(errors) / len(seen)
    counts = result.true, result.false, result.missed
    return Row(name, bound, len(seen), saved, middle, high, most, *counts)


def _scored(samples: list[EyeSample], labelled: Any, ignored: Any) -> Score:
    times = [sample.time_s for sample in samples]
    spans = [
        (int(np.searchsorted(times, blink.start_s)), int(np.searchsorted(times, blink.end_s)))
        for blink in events(samples)
        if not blink.long
    ]
    return score(spans, labelled, ignored)


def main() -> int:
    """Measures and prints; 1 where the models or the portrait can't be had."""
    parser = argparse.ArgumentParser(prog="bench.reuse", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--data", type=Path, default=default_data(), help="labelled recordings")
    options = parser.parse_args()
    try:
        found = rows(options.data)
    except ModelError as error:
        print(f"bench.reuse: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in found]}, indent=2))
        return 0
    print(
        "| recording | bound | inferences saved | error of EAR: median | 95 % | largest |"
        " blinks true / false / missed |\n|---|---|---|---|---|---|---|"
    )
    for row in found:
        errors = " | ".join(f"{e:.3f}" for e in (row.error_median, row.error_p95, row.error_max))
        counts = f"{row.true} / {row.false} / {row.missed}"
        print(f"| {row.name} | {row.bound:g} | {row.saved:.2f} | {errors} | {counts} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
