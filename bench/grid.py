"""Counted against true, where the truth is known: `python -m bench.grid [--json]`.

The blinking portrait goes through the real models under conditions that get worse until nothing is
left: where the measurement stops working, and whether it says so. Every row is half a minute of
irregular blinks, new for each row but the same in every run; on a head that sways with a camera's
usual grain, at 30 frames a second, unless the row says otherwise.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import numpy as np

from agent import models
from agent.document import rounded
from agent.ear import eye_sample
from agent.errors import ModelError
from agent.landmarks import FaceTracker, open_tracker
from agent.records import Blink, EyeSample, Frame
from agent.session import Session, SessionBuilder
from bench.detectors import events
from bench.scoring import Interval, Score, score
from scripts.portrait import LidMovement, Portrait, Schedule, load_portrait, sway

SECONDS = 30.0

Look = Callable[[float], dict[str, Any]]


def closure(start_s: float, half_s: float, depth: float = 1.0) -> LidMovement:
    """A movement of the lids that is `half_s` long at half of its depth."""
    return LidMovement(start_s, min(half_s * 12 / 7, (half_s + 0.06) / 0.75, half_s + 0.16), depth)


def schedule(
    per_min: float = 20.0,
    half_s: tuple[float, float] = (0.12, 0.25),
    depths: Sequence[float] = (1.0,),
    seed: int = 1,
    seconds: float = SECONDS,
) -> Schedule:
    """Irregular blinks from 2 s on, `depths` in turn, their lengths between the two of `half_s`."""
    chance = np.random.default_rng(seed)
    mean_s, start_s = 60 / per_min, 2.0
    movements: list[LidMovement] = []
    while start_s < seconds - 1.5:
        length_s = float(chance.uniform(half_s[0], half_s[1]))
        movements.append(closure(start_s, length_s, depths[len(movements) % len(depths)]))
        start_s = max(
            start_s + mean_s * float(chance.uniform(0.7, 1.3)), movements[-1].end_s + 0.15
        )
    return Schedule(tuple(movements))


@dataclass(frozen=True)
class Condition:
    """One row: what the lids do, how the head is seen, at what frame rate, what share is lost."""

    name: str
    lids: Schedule = field(default_factory=schedule)
    look: Look = sway
    fps: float = 30.0
    dropped: float = 0.0
    seconds: float = SECONDS


@dataclass(frozen=True)
class Row:
    """What came of it. `None` is what the session leaves out; missed and false are then unknown.

    Durations are medians, in milliseconds, at half amplitude; long: closures of 500 ms and more.
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
    coverage: float
    fps: float
    quality: tuple[str, ...]


def still(**constant: float) -> Look:
    """The head sways as always, and the picture is as told."""
    return lambda time_s: sway(time_s) | constant


def moved(
    shift: float = 0.0, rotation_deg: float = 0.0, scale: float = 0.0, hertz: float = 0.25
) -> Look:
    """The head goes to and fro: by pixels, by degrees, by a share of its size."""

    def look(time_s: float) -> dict[str, Any]:
        wave = math.sin(2 * math.pi * hertz * time_s)
        return sway(time_s) | {
            "shift": (shift * wave, 0.0),
            "rotation_deg": rotation_deg * wave,
            "scale": 1 + scale * wave,
        }

    return look


def away(time_s: float) -> dict[str, Any]:
    """Nobody is there for the half of every ten seconds."""
    return sway(time_s) | ({"shift": (600.0, 0.0)} if time_s % 10 >= 5 else {})


def conditions() -> list[Condition]:
    """The rows of the table."""
    long = [closure(20.0, 0.7), closure(23.0, 1.5), closure(26.5, 2.0)]
    before = [each for each in schedule(30) if each.end_s < 19]
    return [
        Condition("as usual"),
        Condition("no blinks", Schedule(())),
        *(Condition(f"{rate} blinks a minute", schedule(rate)) for rate in (6, 40)),
        *(
            Condition(f"blinks of {ms} ms", schedule(half_s=(ms / 1000, ms / 1000)))
            for ms in (50, 80, 200, 300, 400)
        ),
        *(
            Condition(f"every third closes by {depth}", schedule(30, depths=(1, 1, depth)))
            for depth in (0.8, 0.6, 0.4)
        ),
        Condition("three long closures", Schedule((*before, *long))),
        Condition("head moves 100 px", look=moved(shift=100)),
        Condition("head tilts 40 degrees", look=moved(rotation_deg=40)),
        Condition("nearer and farther by 0.3", look=moved(scale=0.3)),
        *(Condition(f"face {190 * s:.0f} px wide", look=still(scale=s)) for s in (0.5, 0.4, 0.3)),
        Condition("away half of the time", look=away),
        *(Condition(f"pixel noise of {n}", look=still(noise=n)) for n in (20, 40, 50, 60)),
        *(Condition(f"blur of {b} px", look=still(blur=b)) for b in (4, 5, 6, 9)),
        *(Condition(f"light of {g:g}", look=still(gain=g)) for g in (0.08, 0.04, 0.02)),
        *(Condition(f"{fps:g} frames a second", fps=fps) for fps in (15, 12, 10, 7.5, 5)),
        *(Condition(f"{d:.0%} of frames lost", dropped=d) for d in (0.1, 0.3, 0.5)),
        *(Condition(f"{d:.0%} lost of 15 a second", fps=15, dropped=d) for d in (0.1, 0.3)),
    ]  # fmt: skip


def see(condition: Condition, portrait: Portrait, tracker: FaceTracker) -> list[EyeSample]:
    """The samples of all frames that weren't lost."""
    chance = np.random.default_rng(5)
    tracker.reset()
    samples = []
    for number in range(round(condition.seconds * condition.fps)):
        if chance.random() < condition.dropped:
            continue
        time_s = number / condition.fps
        pixels = portrait.frame(condition.lids.openness(time_s), **condition.look(time_s))
        samples.append(eye_sample(time_s, tracker.find(Frame(time_s, pixels))))
    return samples


def measure(condition: Condition, portrait: Portrait, tracker: FaceTracker) -> Row:
    """One row of the table."""
    samples = see(condition, portrait, tracker)
    builder = SessionBuilder(0.0)
    for sample in samples:
        builder.add(sample)
    lost = round(condition.seconds * condition.fps) - len(samples)
    return _row(condition, builder.finish(condition.seconds, lost), events(samples))


def _row(condition: Condition, session: Session, found: Sequence[Blink]) -> Row:
    metrics = session.metrics
    blinks = [each for each in condition.lids if _half_ms(each) < 600]
    result = _score(blinks, [each for each in found if not each.long])
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
        coverage=round(metrics.coverage or 0.0, 2),
        fps=float(rounded("fps", session.fps) or 0),
        quality=session.quality,
    )


def _half_ms(movement: LidMovement) -> float:
    closing_s = min(movement.duration_s / 3, 0.12)
    opening_s = min(movement.duration_s / 2, 0.2)
    return 1000 * (movement.duration_s - (closing_s + opening_s) / 2)


def _score(true: Sequence[LidMovement], found: Sequence[Blink]) -> Score:
    """By the milliseconds from the lids' leaving to their coming back, as frames are scored."""
    return score([_interval(each) for each in found], [_interval(each) for each in true])


def _interval(span: LidMovement | Blink) -> Interval:
    return round(1000 * span.start_s), round(1000 * span.end_s)


def _print(rows: Sequence[Row]) -> None:
    print(
        f"{'half a minute each':28}{'true':>6}{'counted':>9}{'missed':>8}{'false':>7}"
        f"{'true ms':>9}{'ms':>6}{'long':>8}{'coverage':>10}{'fps':>6}  quality beside short"
    )
    for row in rows:
        cells = (row.counted, row.missed, row.false, row.true_ms, row.counted_ms)
        counted, missed, false, true_ms, ms = ("null" if c is None else f"{c}" for c in cells)
        long = f"{'null' if row.counted_long is None else row.counted_long}/{row.true_long}"
        words = " ".join(word for word in row.quality if word != "short")
        print(
            f"{row.name:28}{row.true:6}{counted:>9}{missed:>8}{false:>7}"
            f"{true_ms:>9}{ms:>6}{long:>8}{row.coverage:10.2f}{row.fps:6.1f}  {words}".rstrip()
        )


def main() -> int:
    """Measures and prints; 1 where the models or the portrait can't be had."""
    parser = argparse.ArgumentParser(prog="bench.grid", description="Counted against true.")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
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
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}, indent=2))
    else:
        _print(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
