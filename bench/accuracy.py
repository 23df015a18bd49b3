"""Blink detection accuracy: `python -m bench.accuracy [--data DIR] [--json]`.

F1 as scored by Fogelton & Benesova (see `scoring`), compared with the usual rules: on traces at
three frame rates, on clips through the whole path, with each recording left out in turn, and with
each main constant varied.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.capture import ReplayCamera
from agent.ear import eye_sample
from agent.errors import ModelError
from agent.face import models
from agent.face.tracker import open_tracker
from agent.measure import blinks, dips
from agent.measure import levels as openness
from agent.records import EyeSample
from bench import mediapipe_peer
from bench.detectors import (
    Detector,
    blinklog,
    blinklog_closures,
    fixed_threshold,
    relative_threshold,
    varied,
)
from bench.recordings import FPS, Clip, Recording, default_data, read_clips, read_recordings
from bench.scoring import Score, score

STEPS = (1, 2, 3)
"""30, 15 and 10 frames a second."""

DETECTORS: Mapping[str, Detector] = {
    "Blinklog": blinklog,
    "Blinklog, long closures too": blinklog_closures,
    "EAR < 0.21 for 3 frames": fixed_threshold,
    "EAR < 0.6 of 10 s median, 2 frames": relative_threshold,
}

PLATEAU: Mapping[str, Sequence[float]] = {
    "MIN_AMPLITUDE": (0.45, 0.49, 0.51, 0.53, 0.57),
    "DEEPER_EYE": (0.0, 0.46, 0.48, 0.50, 0.52),
    "MIN_DEPTH": (0.20, 0.25, 0.28, 0.31, 0.34),
    "NOISE_SIGMAS": (3.0, 3.5, 4.0, 4.5, 5.0),
    "MIN_RECOVERY": (0.20, 0.25, 0.30, 0.35, 0.40),
    "MAX_DROOP_S": (0.35, 0.38, 0.42, 0.46, 0.50),
    "REFRACTORY_S": (0.12, 0.15, 0.20, 0.25, 0.30),
    "LEVEL_WINDOW_S": (0.35, 0.40, 0.45, 0.50, 0.55),
    "LOOK_AHEAD_S": (0.50, 0.55, 0.60, 0.65, 0.70),
    "LEVEL_QUANTILE": (0.60, 0.65, 0.70, 0.75, 0.80),
    "HOLD_S": (0.0, 0.01, 0.02, 0.025, 0.03),
    "EDGE": (0.10, 0.15, 0.20, 0.25, 0.30),
    "NOISE_MEMORY_S": (2.0, 3.0, 4.0, 6.0, 8.0),
    "USUAL_DEPTH": (0.60, 0.65, 0.70, 0.75, 0.80),
    "ENOUGH_DEPTHS": (4, 6, 8, 10, 12),
    "DEPTH_QUANTILE": (0.50, 0.60, 0.67, 0.75, 0.85),
}
"""The detector's constants, each with values around the one chosen."""

GRID: Mapping[str, Sequence[float]] = {
    "MIN_AMPLITUDE": (0.51, 0.47, 0.49, 0.53),
    "HOLD_S": (0.02, 0.01, 0.03),
    "USUAL_DEPTH": (0.70, 0.65, 0.75),
}
"""What is chosen anew when a recording is left out; of equals the first."""


def pooled(recordings: Sequence[Recording], detector: Detector, step: int) -> Score:
    """The score over all recordings, and over all phases of the decimation."""
    return sum(
        (
            score(detector(each.samples), each.labelled)
            for recording in recordings
            for each in recording.decimated(step)
        ),
        Score(),
    )


def left_out(recordings: Sequence[Recording], step: int = 1) -> Score:
    """Each recording scored with the constants of `GRID` that were best on the others, pooled."""
    scores = []
    for setting in _settings():
        with varied(setting):
            scores.append([pooled([recording], blinklog, step) for recording in recordings])
    total = Score()
    for index in range(len(recordings)):
        others = [sum(row[:index] + row[index + 1 :], Score()).f1 for row in scores]
        total += scores[others.index(max(others))][index]
    return total


def plateau(
    recordings: Sequence[Recording], seen: Sequence["Seen"]
) -> dict[str, dict[str, dict[str, float]]]:
    """F1 by constant, value and frame rate, and of the clips, all others as they are."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name, values in PLATEAU.items():
        table[name] = {}
        for value in values:
            with varied({name: value}):
                row = _by_rate(recordings, blinklog)
                table[name][f"{value:g}"] = row | ({"clips": clips_f1(seen)} if seen else {})
    return table


def see(clip: Clip, cache: Path) -> list[EyeSample]:
    """The clip's samples, through camera, face tracker and EAR. Raises ModelError."""
    tracker = open_tracker(cache)
    camera = ReplayCamera(clip.path)
    samples = []
    camera.start()
    try:
        while (frame := camera.read(timeout_s=10.0)) is not None:
            samples.append(eye_sample(frame.time_s, tracker.find(frame)))
    finally:
        camera.close()
    return samples


@dataclass(frozen=True)
class Seen:
    """A clip and its samples."""

    clip: Clip
    samples: list[EyeSample]

    def score(self, detector: Detector) -> Score:
        """Against the clip's labels."""
        return score(detector(self.samples), self.clip.labelled, self.clip.ignored)


def see_all(clips: Sequence[Clip]) -> list[Seen]:
    """The clips with what is seen in them; none if the models aren't there."""
    try:
        return [Seen(clip, see(clip, models.default_cache())) for clip in clips]
    except ModelError as error:
        print(f"clips skipped: {error}", file=sys.stderr)
        return []


def on_clips(seen: Sequence[Seen]) -> dict[str, dict[str, int]]:
    """Labelled, found and false blinks by clip."""
    table = {}
    for each in seen:
        result = each.score(blinklog)
        table[each.clip.path.name] = {
            "labelled": len(each.clip.labelled), "found": result.true, "false": result.false
        }  # fmt: skip
    return table


def clips_f1(seen: Sequence[Seen], detector: Detector = blinklog) -> float:
    """Over all clips together."""
    return round(sum((each.score(detector) for each in seen), Score()).f1, 4)


def clips_left_out(seen: Sequence[Seen]) -> float:
    """F1 of all clips, each with the constants of `GRID` that are best on the others."""
    table = []
    for setting in _settings():
        with varied(setting):
            table.append([each.score(blinklog) for each in seen])
    total = Score()
    for index in range(len(seen)):
        others = [(sum(row, Score()) + _without(row[index])).f1 for row in table]
        total += table[others.index(max(others))][index]
    return round(total.f1, 4)


def _without(part: Score) -> Score:
    return Score(-part.true, -part.false, -part.missed)


def _settings() -> list[dict[str, float]]:
    return [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]


def measure(data: Path) -> dict[str, Any]:
    """All tables as one object. F1 is 0..1."""
    recordings, seen = read_recordings(data), see_all(read_clips(data))
    return {
        "recordings": {each.name: len(each.labelled) for each in recordings},
        "f1": {name: _by_rate(recordings, detector) for name, detector in DETECTORS.items()},
        "by_recording": {
            each.name: {name: _by_rate([each], detector) for name, detector in DETECTORS.items()}
            for each in recordings
        },
        "leave_one_out": {_rate(step): round(left_out(recordings, step).f1, 4) for step in STEPS},
        "plateau": plateau(recordings, seen),
        "clips": on_clips(seen),
        "clips_f1": {name: clips_f1(seen, detector) for name, detector in DETECTORS.items()},
        "clips_left_out": clips_left_out(seen) if seen else None,
        "mediapipe": mediapipe_peer.on_clips(read_clips(data), DETECTORS),
    }


def _rate(step: int) -> str:
    return str(FPS // step)


def _by_rate(recordings: Sequence[Recording], detector: Detector) -> dict[str, float]:
    return {_rate(step): round(pooled(recordings, detector, step).f1, 4) for step in STEPS}


def _print_rows(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    columns = {_rate(step): f"{_rate(step)} fps" for step in STEPS} | {"clips": "clips"}
    used = [each for each in columns if all(each in row for row in rows.values())]
    print(f"\n{title:40}" + "".join(f"{columns[each]:>9}" for each in used))
    for name, row in rows.items():
        print(f"{name:40}" + "".join(f"{row[each]:9.3f}" for each in used))


def _print(table: Mapping[str, Any]) -> None:
    count = sum(table["recordings"].values())
    print(f"{count} blinks in {len(table['recordings'])} recordings; F1, IoU above 0.2")
    rows = {**table["f1"], "Blinklog, each recording left out": table["leave_one_out"]}
    _print_rows("All recordings", rows)
    for name, by_detector in table["by_recording"].items():
        _print_rows(f"{name}, {table['recordings'][name]} blinks", by_detector)
    for name, by_value in table["plateau"].items():
        chosen = next(
            vars(module)[name] for module in (blinks, dips, openness) if name in vars(module)
        )
        _print_rows(f"{name} (chosen: {chosen:g})", by_value)
    if not table["clips"]:
        return
    print(f"\n{'Clips':40}{'labelled':>9}{'found':>9}{'false':>9}")
    for name, row in table["clips"].items():
        print(f"{name:40}{row['labelled']:9}{row['found']:9}{row['false']:9}")
    print(f"\n{'F1 over all clips':40}")
    rows = {**table["clips_f1"], "Blinklog, each clip left out": table["clips_left_out"]}
    for name, f1 in rows.items():
        print(f"{name:40}{f1:9.3f}")
    mediapipe_peer.print_rows(table["mediapipe"])


def main() -> int:
    """Measures and prints; 1 where there is nothing to measure on."""
    parser = argparse.ArgumentParser(prog="bench.accuracy", description="Blink detection accuracy.")
    parser.add_argument(
        "--data", type=Path, default=default_data(), help="folder of the labelled recordings"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if not read_recordings(options.data):
        print(f"bench.accuracy: no recordings at {options.data}/eyeblink8-ear", file=sys.stderr)
        return 1
    table = measure(options.data)
    if options.json:
        print(json.dumps(table, indent=2))
    else:
        _print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
