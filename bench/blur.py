"""Out-of-focus video: real clips with increasing blur. `python -m bench.blur [--json]`.

Shows whether the session's quality flags (agent.measure.quality) report the blur before its counts
go wrong.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from agent.capture import ReplayCamera
from agent.ear import eye_sample
from agent.errors import ModelError
from agent.face import models
from agent.face.tracker import FaceTracker, open_tracker
from agent.measure.levels import quantile
from agent.measure.session import SessionBuilder
from agent.offline.replay import frames_of
from agent.records import EyeSample, Frame
from bench.detectors import blinklog
from bench.recordings import Clip, default_data, read_clips
from bench.scoring import Interval, score

SHARES = (0.0, 0.01, 0.02, 0.03, 0.04)
"""Standard deviation of the blur, of the face's width."""


@dataclass(frozen=True, slots=True)
class Row:
    """One clip under one blur. `counted` is what the session says: None if it says nothing.

    `depth` is how far EAR falls in the labelled blinks, as a share of its upper quartile: their
    median, None without a labelled blink.
    """

    name: str
    blur_px: float
    sharpness: float | None
    depth: float | None
    true: int
    false: int
    missed: int
    counted: int | None
    quality: tuple[str, ...]


def rows(data: Path) -> Iterator[Row]:
    """One for each clip with labelled blinks, and each blur. Raises ModelError."""
    cache = models.default_cache()
    tracker = open_tracker(cache)
    for clip in read_clips(data):
        if clip.labelled:
            width_px = _face_width(clip, tracker)
            for share in SHARES:
                yield _row(clip, share * width_px, _see(clip, share * width_px, tracker))


def _face_width(clip: Clip, tracker: FaceTracker) -> float:
    """Median over the first second with a face, in pixels."""
    tracker.reset()
    widths: list[float] = []
    for frame in frames_of(ReplayCamera(clip.path)):
        face = tracker.find(frame)
        if face is not None:
            widths.append(float(np.ptp(face.points[:, 0])))
        if len(widths) == 30:
            break
    return statistics.median(widths)


def _see(clip: Clip, blur_px: float, tracker: FaceTracker) -> list[EyeSample]:
    tracker.reset()
    samples = []
    for frame in frames_of(ReplayCamera(clip.path)):
        pixels = frame.pixels
        if blur_px:
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur_px), np.uint8)
        samples.append(eye_sample(frame.time_s, tracker.find(Frame(frame.time_s, pixels))))
    return samples


def _row(clip: Clip, blur_px: float, samples: Sequence[EyeSample]) -> Row:
    builder = SessionBuilder(0.0)
    for sample in samples:
        builder.add(sample)
    session = builder.finish(samples[-1].time_s, 0)
    looks = [each.sharpness for each in samples if each.sharpness is not None]
    result = score(blinklog(samples), clip.labelled, clip.ignored)
    return Row(
        name=clip.path.name,
        blur_px=round(blur_px, 1),
        sharpness=round(statistics.median(looks), 3) if looks else None,
        depth=_depth(samples, clip.labelled),
        true=result.true,
        false=result.false,
        missed=result.missed,
        counted=session.metrics.blink_count,
        quality=session.quality,
    )


def _depth(samples: Sequence[EyeSample], labelled: Sequence[Interval]) -> float | None:
    """Of the labelled blinks that were seen; a label may begin and end a frame too late."""
    seen = [[each.ear for each in samples[max(0, a - 1) : b + 2]] for a, b in labelled]
    lowest = [min(ears) for blink in seen if (ears := [ear for ear in blink if ear is not None])]
    level = quantile(sorted(each.ear for each in samples if each.ear is not None), 0.75)
    return round(1 - statistics.median(lowest) / level, 2) if lowest else None


def main() -> int:
    """Measures and prints; 1 where the models can't be had."""
    parser = argparse.ArgumentParser(
        prog="bench.blur", description="Real clips with increasing blur."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--data", type=Path, default=default_data(), help="folder of the labelled recordings"
    )
    options = parser.parse_args()
    try:
        found = list(rows(options.data))
    except ModelError as error:
        print(f"bench.blur: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in found]}, indent=2))
        return 0
    print(
        "| clip | blur, px | sharpness | depth | true / false / missed | session counts |"
        " quality except short |\n|---|---|---|---|---|---|---|"
    )
    for row in found:
        counted = "null" if row.counted is None else str(row.counted)
        words = " ".join(word for word in row.quality if word != "short")
        print(
            f"| {row.name} | {row.blur_px:g} | {row.sharpness} | {row.depth} |"
            f" {row.true} / {row.false} / {row.missed} | {counted} | {words} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
