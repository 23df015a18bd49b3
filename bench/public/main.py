"""Blink detection accuracy on public recordings: `python -m bench.public FOLDER [--json]`.

FOLDER holds, in any layout, whatever recordings of EyeBlink8, TalkingFace, Researcher's Night and
Faithfull you have (bench.public.formats). Each recording goes through the whole path, from the
video to the blinks. The usual rules get the same samples; MediaPipe's FaceMesh, plain and refined,
gives them its own.

Scoring follows Fogelton & Benesova (CVIU 2016): a detection is right if its intersection over union
with a labelled blink is above 0.2, one to one; counts are pooled. Their paper was not available;
the details follow those who repeated their evaluation:
- Partial blinks count as blinks; so do long closures, which the labels don't distinguish.
- Blinks without a frame between them are one (a double blink), in labels and in detections.
- A blink during which the eyes aren't visible (NV) is left out, and so are detections there. They
  score each eye separately; here a blink is the person's, so both eyes have to be hidden.
- A face that isn't frontal (NF) and one without a box in the labels are scored like any other.
- Frames without a label count neither as right nor as wrong.
- They take the face's position from the labels; here a face that isn't found costs its blinks.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.errors import AgentError, ModelError
from agent.face import models
from agent.records import EyeSample
from bench import mediapipe_peer
from bench.detectors import (
    Detector,
    blinklog,
    blinklog_closures,
    fixed_threshold,
    relative_threshold,
)
from bench.environments import loud, mediapipe_python
from bench.public import formats as public_formats
from bench.public.formats import Annotation, AnnotationError, Found, joined, slack
from bench.recordings import Clip
from bench.scoring import Score, score

RULES: Mapping[str, Detector] = {
    "Blinklog": blinklog,
    "Blinklog, long closures too": blinklog_closures,
    "EAR < 0.21 for 3 frames": fixed_threshold,
    "EAR < 0.20 for 2 frames": partial(fixed_threshold, threshold=0.20, frames=2),
    "EAR < 0.6 of 10 s median, 2 frames": relative_threshold,
    "EAR < 0.7 of 10 s median, 2 frames": partial(relative_threshold, threshold=0.7),
}

IMAGES_FPS = 25.0
"""Of frames that are images: TalkingFace's."""

PEER_FRAME_S = 0.1
"""What a frame may cost MediaPipe at most: a worker that hangs must not hang the bench."""

UNLABELLED_SHARE = 0.1
"""Of the frames: from here on it is said that false detections may be too few."""

Scores = dict[str, Score]


@dataclass(frozen=True, slots=True)
class Measured:
    """One recording's scores by rule. `peer` is by mesh and rule, None where MediaPipe failed."""

    found: Found
    annotation: Annotation
    frames: int
    duration_s: float
    scores: Scores
    peer: Scores | None


def see(video: Path) -> Sequence[EyeSample]:
    """What Blinklog sees, a sample a frame. Raises AgentError."""
    from bench import accuracy

    return accuracy.see(Clip(video, labelled=[], ignored=[]), models.default_cache())


def measure(
    found: Sequence[Found], *, python: Path | None, minutes: float | None = None
) -> tuple[list[Measured], dict[str, str]]:
    """The recordings that could be measured, and why the others couldn't, by name.

    `python` is MediaPipe's, if any. After `minutes` no further recording begins. Raises ModelError.
    """
    begun_s = time.monotonic()
    measured: list[Measured] = []
    left_out: dict[str, str] = {}
    for number, each in enumerate(found, start=1):
        if minutes is not None and time.monotonic() - begun_s > 60 * minutes:
            left_out[each.name] = f"not begun within {minutes:g} minutes"
            continue
        _progress(f"[{number}/{len(found)}] {each.data_set}: {each.name}")
        try:
            measured.append(_measured(each, python))
        except ModelError:
            raise
        except (AnnotationError, AgentError) as error:
            left_out[each.name] = str(error)
            loud(f"{each.name} is left out: {error}")
    return measured, left_out


def board(measured: Sequence[Measured], left_out: Mapping[str, str]) -> dict[str, Any]:
    """All tables as one object: by data set, pooled, and by recording. F1 is 0..1."""
    sets = [name for name in public_formats.DATA_SETS if any(_of(measured, name))]
    return {
        "data_sets": {name: _table(list(_of(measured, name))) for name in sets},
        "pooled": _table(measured),
        "recordings": {each.found.name: _table([each]) for each in measured},
        "left_out": dict(left_out),
    }


def _measured(found: Found, python: Path | None) -> Measured:
    annotation = public_formats.read(found.path)
    with _video(found.path) as video:
        samples = _timed(see(video), found)
        labels = annotation.within(len(samples))
        _compare(found, labels, len(samples))
        peer = _peer(python, video, found, annotation, len(samples)) if python else None
    return Measured(
        found,
        labels,
        len(samples),
        samples[-1].time_s - samples[0].time_s,
        {name: _score(rule, samples, labels) for name, rule in RULES.items()},
        peer,
    )


def _score(rule: Detector, samples: Sequence[EyeSample], labels: Annotation) -> Score:
    return score(joined(rule(samples)), labels.blinks, labels.ignored)


def _peer(
    python: Path, video: Path, found: Found, annotation: Annotation, frames: int
) -> Scores | None:
    """What the same rules find in what FaceMesh sees; None, and a loud line, if it failed."""
    scores: Scores = {}
    for mesh, mode in mediapipe_peer.MESHES.items():
        with patch.object(mediapipe_peer, "TIMEOUT_S", 60 + PEER_FRAME_S * frames):
            samples = mediapipe_peer._trace(python, video, mode)
        if samples is None:
            return None
        if abs(len(samples) - frames) > slack(frames):
            loud(f"{found.name}: expected {frames} frames from FaceMesh, found {len(samples)}")
            return None
        samples, labels = _timed(samples, found), annotation.within(len(samples))
        scores |= {f"{mesh}: {name}": _score(rule, samples, labels) for name, rule in RULES.items()}
    return scores


@contextmanager
def _video(annotation: Path) -> Iterator[Path]:
    """The recording's video; made for the time being where it is images. Raises AnnotationError."""
    video = public_formats.video_of(annotation)
    if video is not None:
        yield video
        return
    images = public_formats.images_of(annotation)
    if not images:
        raise AnnotationError(
            f"{annotation}: expected {annotation.stem} with one of"
            f" {' '.join(public_formats.VIDEOS)} next to it, or its frames as images; found neither"
        )
    with tempfile.TemporaryDirectory(prefix="blinklog-public-") as folder:
        path = Path(folder) / f"{annotation.stem}.avi"
        _write(path, images)
        yield path


def _write(path: Path, images: Sequence[Path]) -> None:
    """Write images as a video, as Motion JPEG. Raises AnnotationError."""
    height, width = _pixels(images[0]).shape[:2]
    code = cv2.VideoWriter.fourcc(*"MJPG")
    video = cv2.VideoWriter(str(path), code, IMAGES_FPS, (width, height))
    if not video.isOpened():
        raise AnnotationError(f"{path}: can't be written as a video")
    try:
        for image in images:
            pixels = _pixels(image)
            if pixels.shape[:2] != (height, width):  # OpenCV would leave it out without a word
                found = f"{pixels.shape[1]}x{pixels.shape[0]}"
                raise AnnotationError(f"{image}: expected {width}x{height} pixels, found {found}")
            video.write(pixels)
    finally:
        video.release()


def _pixels(image: Path) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(image))
    if pixels is None:
        raise AnnotationError(f"{image}: expected an image, found something else")
    return np.asarray(pixels, np.uint8)


def _timed(samples: Sequence[EyeSample], found: Found) -> Sequence[EyeSample]:
    """The samples at the times that the recording's `.txt` gives, if there is one that can be."""
    path = found.path.with_suffix(".txt")
    if found.data_set == "Faithfull" or not path.exists():
        return samples
    try:
        times = public_formats.read_times(path, len(samples))
    except AnnotationError as error:
        loud(f"the video's own times are used: {error}")
        return samples
    return [replace(each, time_s=time_s) for each, time_s in zip(samples, times, strict=True)]


def _compare(found: Found, labels: Annotation, frames: int) -> None:
    """Say on standard error where labels don't cover the video, or the video not the labels."""
    if labels.missing:
        loud(
            f"{found.name}: the last {labels.missing} labels lie beyond the video's {frames} frames"
        )
    ignored = sum(last - first + 1 for first, last in labels.ignored)
    if ignored > UNLABELLED_SHARE * frames:
        share = f"{ignored / frames:.0%} of the frames"
        loud(f"{found.name}: {share} have no label or hidden eyes: detections there don't count")


def _of(measured: Sequence[Measured], data_set: str) -> Iterator[Measured]:
    return (each for each in measured if each.found.data_set == data_set)


def _table(measured: Sequence[Measured]) -> dict[str, Any]:
    peers = [each.peer for each in measured if each.peer is not None]
    return {
        "recordings": len(measured),
        "frames": sum(each.frames for each in measured),
        "minutes": round(sum(each.duration_s for each in measured) / 60, 2),
        "annotated": sum(each.annotation.annotated for each in measured),
        "blinks": sum(len(each.annotation.blinks) for each in measured),
        "rules": _rows([each.scores for each in measured]),
        "mediapipe": _rows(peers) if peers and len(peers) == len(measured) else None,
    }


def _rows(scores: Sequence[Scores]) -> dict[str, dict[str, float]]:
    names = scores[0] if scores else {}
    return {name: _row(sum((each[name] for each in scores), Score())) for name in names}


def _row(total: Score) -> dict[str, float]:
    return {
        "found": total.true,
        "false": total.false,
        "missed": total.missed,
        "precision": round(total.precision, 4),
        "recall": round(total.recall, 4),
        "f1": round(total.f1, 4),
    }


def _print(table: Mapping[str, Any]) -> None:
    for name, each in table["data_sets"].items():
        _print_table(name, each)
    if len(table["data_sets"]) > 1:
        _print_table("Pooled", table["pooled"])
    for name, reason in table["left_out"].items():
        print(f"\nLeft out: {name}: {reason}")


def _print_table(name: str, table: Mapping[str, Any]) -> None:
    s = "" if table["recordings"] == 1 else "s"
    print(
        f"\n{name}: {table['recordings']} recording{s}, {table['minutes']:.1f} min,"
        f" {table['blinks']} blinks ({table['annotated']} annotated)"
    )
    columns = ("found", "false", "missed")
    shares = ("precision", "recall", "f1")
    print(" " * 54 + "".join(f"{each:>10}" for each in (*columns, *shares)))
    for rule, row in {**table["rules"], **(table["mediapipe"] or {})}.items():
        counts = "".join(f"{row[each]:10}" for each in columns)
        print(f"{rule:54}{counts}" + "".join(f"{row[each]:10.3f}" for each in shares))
    if table["mediapipe"] is None:
        print("MediaPipe: null")


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _chosen(folder: Path, limit: int | None) -> list[Found]:
    """The recordings below `folder`, at most `limit` of each data set."""
    taken: dict[str, int] = {}
    chosen = []
    for each in public_formats.find(folder):
        taken[each.data_set] = taken.get(each.data_set, 0) + 1
        if limit is None or taken[each.data_set] <= limit:
            chosen.append(each)
    return chosen


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 up, found {text!r}")
    return int(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.public", description="Blink detection accuracy on public recordings."
    )
    parser.add_argument("folder", type=Path, help="the recordings, in any layout")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--limit", type=_count, metavar="N", help="use at most N recordings of each data set"
    )
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="start no recording after M minutes"
    )
    parser.add_argument(
        "--no-mediapipe", action="store_true", help="skip the comparison with MediaPipe"
    )
    return parser.parse_args()


def main() -> int:
    """Measures and prints; 1 where nothing could be measured."""
    options = _options()
    found = _chosen(options.folder, options.limit)
    if not found:
        print(
            f"bench.public: expected .tag or .vt files below {options.folder}, found none",
            file=sys.stderr,
        )
        return 1
    python = None if options.no_mediapipe else mediapipe_python()
    try:
        measured, left_out = measure(found, python=python, minutes=options.minutes)
    except ModelError as error:
        print(f"bench.public: {error}", file=sys.stderr)
        return 1
    table = board(measured, left_out)
    if options.json:
        print(json.dumps(table, indent=2))
    else:
        _print(table)
    return 0 if measured else 1


if __name__ == "__main__":
    sys.exit(main())
