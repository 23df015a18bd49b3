"""The labelled clips, made worse, through the whole pipeline: `python -m bench.degraded [--json]`.

Each row changes all clips in one way and counts found, false and missed blinks. Detection uses the
constants as they are. With `--apart` each clip is scaled so that the eyes are so many pixels apart;
clips in which they are nearer to each other are left out of that row.
"""

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.capture import ReplayCamera
from agent.ear import eye_sample
from agent.errors import ModelError
from agent.face import models
from agent.face.tracker import FaceTracker, open_tracker
from agent.measure.aim import apart_px
from agent.offline.replay import frames_of
from agent.records import EyeSample, Frame
from bench.detectors import blinklog
from bench.recordings import Clip, default_data, read_clips
from bench.scoring import Interval, Score, score

APART_PX = (60, 45, 35, 28, 22, 17, 13)
FIRST = 60  # frames

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Condition:
    """A change of every picture, and every how many frames one is seen."""

    name: str
    change: Change
    step: int = 1


def _unchanged(picture: Pixels) -> Pixels:
    return picture


def _smaller(scale: float) -> Change:
    return lambda picture: np.asarray(
        cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
    )


def _noisy(sigma: float, light: float = 1.0) -> Change:
    random = np.random.default_rng(0)

    def change(picture: Pixels) -> Pixels:
        noise = random.standard_normal(picture.shape, np.float32) * sigma
        return np.clip(np.floor(picture * light) + noise, 0, 255).astype(np.uint8)

    return change


def _grey(picture: Pixels) -> Pixels:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    faint = np.clip(96 + (grey - 128) * 0.4, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(faint, cv2.COLOR_GRAY2BGR), np.uint8)


def _jpeg(picture: Pixels) -> Pixels:
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 25])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


def _blurred(picture: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5), np.uint8)


def _mirrored(picture: Pixels) -> Pixels:
    return picture[:, ::-1].copy()


def _tilted(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 25, 1)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height)), np.uint8)


def _turned(code: int) -> Change:
    return lambda picture: np.asarray(cv2.rotate(picture, code), np.uint8)


CONDITIONS = (
    Condition("as they are", _unchanged),
    Condition("half the size", _smaller(0.5)),
    Condition("0.35 of the size", _smaller(0.35)),
    Condition("JPEG of quality 25", _jpeg),
    Condition("blur of 1.5 pixels", _blurred),
    Condition("noise of 12 grey levels", _noisy(12)),
    Condition("0.35 of the light, noise of 4", _noisy(4, 0.35)),
    Condition("grey, 0.4 of the contrast", _grey),
    Condition("mirrored", _mirrored),
    Condition("tilted by 25 degrees", _tilted),
    Condition("turned by 90 degrees", _turned(cv2.ROTATE_90_CLOCKWISE)),
    Condition("turned by 180 degrees", _turned(cv2.ROTATE_180)),
    Condition("every second frame", _unchanged, step=2),
    Condition("every third frame", _unchanged, step=3),
)


def measure(clip: Clip, condition: Condition, tracker: FaceTracker) -> Score:
    """The score of one clip. Raises ModelError."""
    found = blinklog(list(_seen(clip, condition, tracker)))
    step = condition.step
    return score(found, _decimated(clip.labelled, step), _decimated(clip.ignored, step))


def _seen(clip: Clip, condition: Condition, tracker: FaceTracker) -> Iterator[EyeSample]:
    tracker.reset()
    for number, frame in enumerate(frames_of(ReplayCamera(clip.path))):
        if number % condition.step == 0:
            changed = Frame(frame.time_s, condition.change(frame.pixels))
            yield eye_sample(frame.time_s, tracker.find(changed))


def apart_of(clip: Clip, tracker: FaceTracker) -> float | None:
    """The median distance between the eyes in the first frames with a face, in pixels."""
    tracker.reset()
    faces = (tracker.find(frame) for frame in frames_of(ReplayCamera(clip.path)))
    found = list(itertools.islice((apart_px(face) for face in faces if face), FIRST))
    return statistics.median(found) if found else None


def by_distance(data: Path) -> Iterator[tuple[str, Score]]:
    """A row for each distance between the eyes. Raises ModelError."""
    tracker, clips = open_tracker(models.default_cache()), read_clips(data)
    known = [(clip, apart_of(clip, tracker)) for clip in clips]
    for apart in APART_PX:
        scores = [
            measure(clip, Condition("", _smaller(apart / found)), tracker)
            for clip, found in known
            if found is not None and apart <= found
        ]
        yield f"eyes {apart} pixels apart", sum(scores, Score())


def _decimated(spans: list[Interval], step: int) -> list[Interval]:
    """The same spans in frames that are left; each keeps one at least."""
    return [(-(-first // step), max(-(-first // step), last // step)) for first, last in spans]


def table(data: Path) -> Iterator[tuple[str, Score]]:
    """A row for each condition, over all clips. Raises ModelError."""
    tracker, clips = open_tracker(models.default_cache()), read_clips(data)
    for condition in CONDITIONS:
        yield condition.name, sum((measure(each, condition, tracker) for each in clips), Score())


def _print(rows: Mapping[str, Score]) -> None:
    print("| clips | found | false | missed | F1 |\n|---|---|---|---|---|")
    for name, each in rows.items():
        print(f"| {name} | {each.true} | {each.false} | {each.missed} | {each.f1:.3f} |")


def main() -> int:
    """Measures and prints; 1 without models or clips."""
    parser = argparse.ArgumentParser(prog="bench.degraded", description="Clips made worse.")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--apart", action="store_true", help="by the distance between the eyes")
    options = parser.parse_args()
    data = default_data()
    if not read_clips(data):
        print(f"bench.degraded: expected labelled clips in {data}, found none", file=sys.stderr)
        return 1
    try:
        rows = dict((by_distance if options.apart else table)(data))
    except ModelError as error:
        print(f"bench.degraded: {error}", file=sys.stderr)
        return 1
    if options.json:
        told = {
            name: {"found": each.true, "false": each.false, "missed": each.missed}
            for name, each in rows.items()
        }
        print(json.dumps(told, indent=2))
    else:
        _print(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
