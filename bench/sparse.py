"""Could the mesh look less often while the eyes are open? `python -m bench.sparse [--json]`.

A policy that was tried: only every so many frames are inferred while the EAR stays near its recent
median. Once it falls by `FALL` or jumps by as much, the frames left out before are made up for, and
every frame is inferred until the EAR has been back for `CALM_S`. Printed is what that would have
saved and what it does to the blinks found: of EyeBlink8's traces, the clips, and the portrait.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agent import models
from agent.capture import ReplayCamera
from agent.ear import eye_sample
from agent.errors import ModelError
from agent.landmarks import FaceTracker
from agent.records import Blink, EyeSample
from agent.replay import frames_of
from bench.detectors import blinklog, events
from bench.grid import Condition, schedule, see, still
from bench.recordings import default_data, read_clips, read_recordings
from bench.scoring import Interval, score
from scripts.portrait import load_portrait

EVERY = (1, 2, 3)
FALL = 0.14
"""Below what a closure leaves where the mesh hardly sees it (`dips.MIN_DEPTH`)."""

CALM_S = 0.2
RECENT = 12
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Row:
    """One recording where every `every`th frame is inferred while nothing happens."""

    name: str
    every: int
    inferred: float
    true: int
    false: int
    missed: int
    duration_ms: float | None


def chosen(samples: Sequence[EyeSample], every: int) -> list[int]:
    """The indices of the frames that would be inferred."""
    taken: set[int] = set()
    left_out: list[int] = []
    recent: list[float] = []
    full_until_s = -1.0
    for index, sample in enumerate(samples):
        if recent and sample.time_s > full_until_s and len(left_out) + 1 < every:
            left_out.append(index)
            continue
        taken.add(index)
        if sample.ear is None:
            recent.clear()
        else:
            if recent and _moves(sample.ear, recent):
                taken.update(left_out)
                full_until_s = sample.time_s + CALM_S
            recent = [*recent[1 - RECENT :], sample.ear]
        left_out.clear()
    return sorted(taken)


def _moves(ear: float, recent: Sequence[float]) -> bool:
    usual = statistics.median(recent)
    return ear < (1 - FALL) * usual or abs(ear - recent[-1]) > FALL * usual


def _rows(
    name: str,
    samples: Sequence[EyeSample],
    labelled: Sequence[Interval],
    ignored: Sequence[Interval] = (),
) -> list[Row]:
    found = []
    for every in EVERY:
        indices = chosen(samples, every)
        kept = [samples[index] for index in indices]
        spans = [(indices[first], indices[last]) for first, last in blinklog(kept)]
        result = score(spans, labelled, ignored)
        share = round(len(kept) / len(samples), 3)
        counts = result.true, result.false, result.missed
        found.append(Row(name, every, share, *counts, _median_ms(events(kept))))
    return found


def _median_ms(found: Sequence[Blink]) -> float | None:
    lengths = [1000 * blink.duration_s for blink in found if not blink.long]
    return round(statistics.median(lengths), 1) if lengths else None


def rows(data: Path) -> list[Row]:
    """Raises ModelError."""
    found = []
    for recording in read_recordings(data):
        found += _rows(f"EyeBlink8, {recording.name}", recording.samples, recording.labelled)
    cache = models.default_cache()
    tracker = FaceTracker(models.load("face_detection", cache), models.load("face_landmark", cache))
    for clip in read_clips(data):
        tracker.reset()
        frames = frames_of(ReplayCamera(clip.path))
        samples = [eye_sample(frame.time_s, tracker.find(frame)) for frame in frames]
        if clip.labelled:
            found += _rows(clip.path.name, samples, clip.labelled, clip.ignored)
    portrait = load_portrait(cache)
    for condition in _conditions():
        samples = see(condition, portrait, tracker)
        labelled = [(round(30 * each.start_s), round(30 * each.end_s)) for each in condition.lids]
        found += _rows(f"portrait, {condition.name}", samples, labelled)
    return found


def _conditions() -> list[Condition]:
    lids = {ms: schedule(30, (ms / 1000, ms / 1000), seconds=SECONDS) for ms in (50, 80, 200)}
    partial = schedule(30, depths=(1, 1, 0.4), seconds=SECONDS)
    return [
        *(Condition(f"blinks of {ms} ms", each, seconds=SECONDS) for ms, each in lids.items()),
        Condition("every third closes by 0.4", partial, seconds=SECONDS),
        Condition("pixel noise of 40", lids[200], still(noise=40.0), seconds=SECONDS),
    ]


def main() -> int:
    """Measures and prints; 1 where the models or the portrait can't be had."""
    parser = argparse.ArgumentParser(prog="bench.sparse", description="Looking less often.")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--data", type=Path, default=default_data(), help="labelled recordings")
    options = parser.parse_args()
    try:
        found = rows(options.data)
    except ModelError as error:
        print(f"bench.sparse: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in found]}, indent=2))
        return 0
    heads = [f"every {every}: inferred, true / false / missed, ms" for every in EVERY]
    print(f"| recording | {' | '.join(heads)} |\n|---|{'---|' * len(EVERY)}")
    for start in range(0, len(found), len(EVERY)):
        group = found[start : start + len(EVERY)]
        cells = (
            f"{row.inferred:.2f}, {row.true} / {row.false} / {row.missed}, {row.duration_ms}"
            for row in group
        )
        print(f"| {group[0].name} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
