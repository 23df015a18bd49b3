"""The cost of noise and lost frames: `python -m bench.traces [--json]`.

Synthetic EAR, complete blinks of 120 to 300 ms, white noise, frames lost at random: nothing here
depends on a camera or a model. Every figure is from about 300 blinks.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, median
from typing import Any

from agent.measure.session import LATE, MIN_COUNT_FPS, SessionBuilder
from agent.records import Blink, EyeSample
from bench.detectors import events
from bench.scoring import Score, score
from tests.agent.traces import OPEN, Camera, Lids

SECONDS = 300.0
SEEDS = range(4)
RATES = (30.0, 15.0, 10.0)
NOISES = (0.05, 0.10, 0.15, 0.20, 0.25)
LOSSES = ((30.0, (0.1, 0.3, 0.4, 0.5)), (20.0, (0.3, 0.4)), (15.0, (0.1, 0.2, 0.3)))
DEPTHS = (0.65, 0.85)
"""How far complete blinks go down, as a share of the open level. The eye heads read a shut eye as
0.04 to 0.35 of the open one."""


def lids(seed: int, depth: float, half_s: tuple[float, float]) -> list[Lids]:
    """Irregular blinks, every 1.8 to 5.8 s, with lengths between the two of `half_s`."""
    chance, at_s = random.Random(seed), 2.0
    found = []
    while at_s < SECONDS - 2:
        found.append(Lids(at_s, chance.uniform(*half_s), depth))
        at_s += chance.uniform(1.8, 5.8)
    return found


def noise_row(noise: float) -> dict[str, Any]:
    """The share of blinks found, and false ones over true ones, by frame rate."""
    row: dict[str, Any] = {"noise_over_depth": noise}
    for fps in RATES:
        total = Score()
        for depth in DEPTHS:
            for seed in SEEDS[:2]:
                true = lids(seed, depth, (0.2, 0.2))
                camera = Camera(fps, noise=noise * depth * OPEN, seed=seed)
                total += _score(true, events(camera.see(true, SECONDS)))
        row[f"{fps:g}"] = {"found": _share(total), "false": _false(total)}
    return row


def lost_row(fps: float, lost: float) -> dict[str, Any]:
    """What is missed where frames are lost at random, and whether the session still counts."""
    total, late, durations, counts = Score(), [], [], []
    for seed in SEEDS:
        true = lids(seed, DEPTHS[0], (0.12, 0.3))
        samples = Camera(fps, dropped=lost, seed=seed + 10).see(true, SECONDS)
        found = events(samples)
        total += _score(true, found)
        late.append(_late(samples))
        durations.append(_duration_error_ms(true, found))
        counts.append(_counts(samples, round(SECONDS * fps) - len(samples)))
    return {
        "fps": fps,
        "lost": lost,
        "late": round(mean(late), 2),
        "missed": round(1 - _share(total), 3),
        "false": _false(total),
        "duration_error_ms": round(mean(durations)),
        "counts": [each is not None for each in counts],
    }


def rate_row(fps: float) -> dict[str, Any]:
    """The median error of durations at a steady rate."""
    errors = []
    for seed in SEEDS:
        true = lids(seed, DEPTHS[0], (0.12, 0.3))
        errors.append(_duration_error_ms(true, events(Camera(fps, seed=seed).see(true, SECONDS))))
    return {"fps": fps, "duration_error_ms": round(mean(errors), 1), "frame_ms": round(1000 / fps)}


def _late(samples: Sequence[EyeSample]) -> float:
    """The share of time in intervals too long to count by."""
    times = [each.time_s for each in samples]
    gaps = [later - time_s for time_s, later in pairwise(times)]
    return sum(gap for gap in gaps if gap * MIN_COUNT_FPS > LATE) / sum(gaps)


def _counts(samples: Sequence[EyeSample], dropped: int) -> int | None:
    builder = SessionBuilder(0.0)
    for each in samples:
        builder.add(each)
    return builder.finish(SECONDS, dropped).metrics.blink_count


def _duration_error_ms(true: Sequence[Lids], found: Sequence[Blink]) -> float:
    pairs = [(a, b) for a in true for b in found if a.at_s < b.end_s and b.start_s < a.end_s]
    return 1000 * (median(b.duration_s for _, b in pairs) - median(a.duration_s for a, _ in pairs))


def _score(true: Sequence[Lids], found: Sequence[Blink]) -> Score:
    return score(
        [(round(1000 * each.start_s), round(1000 * each.end_s)) for each in found],
        [(round(1000 * each.at_s), round(1000 * each.end_s)) for each in true],
    )


def _share(total: Score) -> float:
    return round(total.true / (total.true + total.missed), 3)


def _false(total: Score) -> float:
    return round(total.false / (total.true + total.missed), 3)


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="bench.traces", description="Noise and lost frames.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = {
        "noise": [noise_row(noise) for noise in NOISES],
        "lost": [lost_row(fps, lost) for fps, losses in LOSSES for lost in losses],
        "rates": [rate_row(fps) for fps in (60.0, *RATES)],
    }
    print(json.dumps(result, indent=2) if options.json else _tables(result))
    return 0


def _tables(result: dict[str, Any]) -> str:
    rates = [f"{fps:g}" for fps in RATES]
    lines = ["| noise / depth | " + " | ".join(f"{r} fps: found (false)" for r in rates) + " |"]
    lines.append("|---|" + "---|" * len(rates))
    for row in result["noise"]:
        cells = [f"{row[rate]['found']:.2f} ({row[rate]['false']:.2f})" for rate in rates]
        lines.append(f"| {row['noise_over_depth']:.2f} | {' | '.join(cells)} |")
    lines += ["", "| fps | lost | late | missed | false | durations, ms | session counts |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in result["lost"]:
        counts = ("yes" if row["counts"][0] else "no") if _alike(row) else "some"
        lines.append(
            f"| {row['fps']:g} | {row['lost']:g} | {row['late']:.2f} | {row['missed']:.3f} |"
            f" {row['false']:.3f} | {row['duration_error_ms']:+d} | {counts} |"
        )
    lines += ["", "| steady fps | durations, ms | a frame, ms |", "|---|---|---|"]
    for row in result["rates"]:
        lines.append(f"| {row['fps']:g} | {row['duration_error_ms']:+.1f} | {row['frame_ms']} |")
    return "\n".join(lines)


def _alike(row: dict[str, Any]) -> bool:
    return len(set(row["counts"])) == 1


if __name__ == "__main__":
    sys.exit(main())
