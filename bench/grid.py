"""Counted against true blinks under known conditions: `python -m bench.grid [--json]`.

The blinking portrait goes through the real models under worsening conditions until nothing can be
measured (see `conditions`): this shows where the measurement stops working, and whether it says so.
Two more tables show whether complete and partial blinks are told apart, and how soon the open level
is known.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from agent.ear import eye_sample
from agent.errors import ModelError
from agent.face import models
from agent.face.tracker import FaceTracker, open_tracker
from agent.measure.document import rounded
from agent.measure.metrics import Session
from agent.measure.session import SessionBuilder
from agent.records import Blink, EyeSample, Frame
from bench.conditions import Condition, beginnings, conditions, depth_conditions
from bench.scoring import Interval, pairs, score
from scripts.portrait import LidMovement, Portrait, load_portrait

LONG_MS = 600
"""Movements of the schedules that last longer at half of their depth are long closures."""

COMPLETE = 0.9
"""Movements of the schedules that are deeper are complete."""

DOWN = 0.9
"""A gaze that is lowered so far looks down."""

NEAR = 0.05
"""A level that stays so near to where it ends, as a share of it, has settled."""


@dataclass(frozen=True)
class Row:
    """What came of it. `None` is what the session leaves out; missed and false are then unknown.

    Durations are medians, in milliseconds, at half amplitude; long: closures of 500 ms and more;
    down: the share of time spent looking down; right and left: how far each eye closed in a blink.
    """

    name: str
    true: int
    counted: int | None
    missed: int | None
    false: int | None
    true_ms: int | None
    counted_ms: int | None
    true_long: int
    counted_long: int | None
    true_down: float
    counted_down: float | None
    right: float | None
    left: float | None
    perclos: float | None
    coverage: float
    fps: float
    quality: tuple[str, ...]


@dataclass(frozen=True)
class Depths:
    """Blinks that close by `depth`, 0..1, in one condition: how many there are, how many were
    found, and how many of these were rightly called complete or partial."""

    name: str
    depth: float
    true: int
    found: int
    right: int


@dataclass(frozen=True)
class Settled:
    """When the open level was within `NEAR` of its last value, and stayed there.

    In seconds since the eyes were first open and looking ahead, at `opened_s` of the session.
    """

    name: str
    opened_s: float
    settled_s: float


def see(condition: Condition, portrait: Portrait, tracker: FaceTracker) -> list[EyeSample]:
    """The samples of all frames that weren't lost."""
    chance = np.random.default_rng(5)
    tracker.reset()
    samples = []
    for number in range(round(condition.seconds * condition.fps)):
        if chance.random() < condition.dropped:
            continue
        time_s = number / condition.fps
        frame = Frame(time_s, condition.frame(time_s, portrait))
        samples.append(eye_sample(time_s, tracker.find(frame)))
    return samples


def measure(condition: Condition, portrait: Portrait, tracker: FaceTracker) -> Row:
    """One row of the table."""
    samples = see(condition, portrait, tracker)
    builder = _session_of(samples)
    lost = round(condition.seconds * condition.fps) - len(samples)
    session = builder.finish(condition.seconds, lost)
    return _row(condition, session, builder.events)


def depths(condition: Condition, portrait: Portrait, tracker: FaceTracker) -> list[Depths]:
    """Whether complete and partial blinks are told apart, by how far the lids close."""
    builder = _session_of(see(condition, portrait, tracker))
    builder.finish(condition.seconds, 0)
    true, found = list(condition.lids), builder.events
    matched = pairs([_interval(each) for each in found], [_interval(each) for each in true])
    rows = []
    for depth in sorted({each.depth for each in true}, reverse=True):
        called = [found[i].complete for i, j in matched if true[j].depth == depth]
        rows.append(
            Depths(
                name=condition.name,
                depth=depth,
                true=sum(each.depth == depth for each in true),
                found=len(called),
                right=called.count(depth > COMPLETE),
            )
        )
    return rows


def settled(
    condition: Condition, opened_s: float, portrait: Portrait, tracker: FaceTracker
) -> Settled:
    """How soon the open level is known."""
    builder = SessionBuilder(0.0)
    levels: list[tuple[float, float | None]] = []
    for sample in see(condition, portrait, tracker):
        builder.add(sample)
        levels.append((sample.time_s, builder.levels.open))
    last = levels[-1][1] or 0.0
    off = [time_s for time_s, level in levels if abs((level or 0.0) - last) > NEAR * last]
    return Settled(condition.name, opened_s, round(max(0.0, max(off, default=0.0) - opened_s), 2))


def _session_of(samples: Sequence[EyeSample]) -> SessionBuilder:
    builder = SessionBuilder(0.0)
    for sample in samples:
        builder.add(sample)
    return builder


def _row(condition: Condition, session: Session, found: Sequence[Blink]) -> Row:
    metrics = session.metrics
    blinks = [each for each in condition.lids if _half_ms(each) < LONG_MS]
    result = score(
        [_interval(each) for each in found if not each.long], [_interval(each) for each in blinks]
    )
    counted = metrics.blink_count
    measured_ms = metrics.blink_duration_median_ms
    return Row(
        name=condition.name,
        true=len(blinks),
        counted=counted,
        missed=None if counted is None else result.missed,
        false=None if counted is None else result.false,
        true_ms=round(median(map(_half_ms, blinks))) if blinks else None,
        counted_ms=None if measured_ms is None else round(measured_ms),
        true_long=len(condition.lids) - len(blinks),
        counted_long=metrics.long_closure_count,
        true_down=_true_down(condition),
        counted_down=_two_places(metrics.looking_down),
        right=_two_places(metrics.blink_closure_right_median),
        left=_two_places(metrics.blink_closure_left_median),
        perclos=_two_places(metrics.perclos),
        coverage=round(metrics.coverage or 0.0, 2),
        fps=float(rounded("fps", session.fps) or 0),
        quality=session.quality,
    )


def _two_places(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _true_down(condition: Condition) -> float:
    """The share of the frames in which the gaze is down."""
    frames = round(condition.seconds * condition.fps)
    down = sum(condition.gaze.openness(n / condition.fps) <= 1 - DOWN for n in range(frames))
    return round(down / frames, 2)


def _half_ms(movement: LidMovement) -> float:
    closing_s = min(movement.duration_s / 3, 0.12)
    opening_s = min(movement.duration_s / 2, 0.2)
    return 1000 * (movement.duration_s - (closing_s + opening_s) / 2)


def _interval(span: LidMovement | Blink) -> Interval:
    """Milliseconds from the lids' leaving to their coming back, scored as frames are."""
    return round(1000 * span.start_s), round(1000 * span.end_s)


def _cell(value: float | None) -> str:
    return "null" if value is None else f"{value}"


def _print(rows: Sequence[Row]) -> None:
    print(
        f"{'half a minute each':28}{'true':>6}{'counted':>9}{'missed':>8}{'false':>7}{'true ms':>9}"
        f"{'ms':>6}{'long':>8}{'down':>11}{'right':>7}{'left':>6}{'PERCLOS':>9}{'coverage':>10}"
        f"{'fps':>6}  quality except short"
    )
    for row in rows:
        values = (row.counted, row.missed, row.false, row.true_ms, row.counted_ms)
        counted, missed, false, true_ms, ms = map(_cell, values)
        right, left, perclos = map(_cell, (row.right, row.left, row.perclos))
        long = f"{_cell(row.counted_long)}/{row.true_long}"
        down = f"{_cell(row.counted_down)}/{row.true_down}"
        words = " ".join(word for word in row.quality if word != "short")
        print(
            f"{row.name:28}{row.true:6}{counted:>9}{missed:>8}{false:>7}{true_ms:>9}{ms:>6}"
            f"{long:>8}{down:>11}{right:>7}{left:>6}{perclos:>9}{row.coverage:10.2f}{row.fps:6.1f}"
            f"  {words}".rstrip()
        )


def share_right(rows: Sequence[Depths]) -> float:
    """Of the blinks that were found, the share rightly called complete or partial, 0..1."""
    found = sum(row.found for row in rows)
    return sum(row.right for row in rows) / found if found else 1.0


def _print_depths(rows: Sequence[Depths]) -> None:
    by_depth: dict[float, list[Depths]] = {}
    for row in rows:
        by_depth.setdefault(row.depth, []).append(row)
    print(f"\n{'right / found / true':28}" + "".join(f"{f'by {d:g}':>14}" for d in by_depth))
    for name in dict.fromkeys(row.name for row in rows):
        cells = [f"{r.right} / {r.found} / {r.true}" for r in rows if r.name == name]
        print(f"{name:28}" + "".join(f"{cell:>14}" for cell in cells))
    shares = [share_right(each) for each in by_depth.values()]
    print(f"{'share of those found':28}" + "".join(f"{share:14.3f}" for share in shares))
    print(f"rightly called complete or partial, of all found: {share_right(rows):.3f}")


def _print_settled(rows: Sequence[Settled]) -> None:
    print(f"\n{'open level known within 5 %':44}{'eyes open at, s':>16}{'after, s':>10}")
    for row in rows:
        print(f"{row.name:44}{row.opened_s:16.1f}{row.settled_s:10.2f}")


def main() -> int:
    """Measures and prints; 1 where the models or the portrait can't be had."""
    parser = argparse.ArgumentParser(prog="bench.grid", description="Counted against true blinks.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    cache = models.default_cache()
    try:
        models.fetch(cache)
        tracker = open_tracker(cache)
        portrait = load_portrait(cache)
    except ModelError as error:
        print(f"bench.grid: {error}", file=sys.stderr)
        return 1
    rows = [measure(condition, portrait, tracker) for condition in conditions()]
    by_depth = [row for each in depth_conditions() for row in depths(each, portrait, tracker)]
    levels = [settled(*each, portrait, tracker) for each in beginnings()]
    if options.json:
        print(json.dumps(_tables(rows, by_depth, levels), indent=2))
        return 0
    _print(rows)
    _print_depths(by_depth)
    _print_settled(levels)
    return 0


def _tables(
    rows: Sequence[Row], by_depth: Sequence[Depths], levels: Sequence[Settled]
) -> dict[str, Any]:
    return {
        "rows": [asdict(row) for row in rows],
        "depths": [asdict(row) for row in by_depth],
        "complete_or_partial_right": round(share_right(by_depth), 3),
        "settled": [asdict(row) for row in levels],
    }


if __name__ == "__main__":
    sys.exit(main())
