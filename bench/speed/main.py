"""The cost of a frame, from pixels to blink events, compared with bare inference and MediaPipe.

All sides measure the same decoded frames in interleaved rounds, each in its own process, timed by
the same call (bench.speed.stopwatch). A frame is copied into place just before, as a camera's
driver or a decoder would leave it; MediaPipe's are converted to RGB, ours are BGR or I420. None of
that is timed. Bare inference runs the plain mesh (bench/peers.toml) in its own loop.

Most frames are a glance at the eyes, and a look at the whole face is spread over three of them. A
side's figure is therefore the mean over a stretch with a tracked face. Rounds are alike, frame by
frame, so each frame counts with its median over the rounds: a scheduling delay in one round does
not count, and the most expensive frame is one that is expensive in most rounds.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from agent.capture import ReplayCamera
from agent.config import ModelConfig
from bench.environments import ROOT, loud, mediapipe_python, tflite_python
from bench.speed.stopwatch import Times
from scripts.portrait import demo_schedule, load_portrait, sway

Pixels = NDArray[np.uint8]

PORTRAIT_FPS = 30.0
INFERENCE = ("trunk", "stem", "heads")
STAGES = {
    "crop": "crop: warp, colour, scale; now and then boxes laid around the eyes",
    "trunk": "trunk",
    "stem": "stem: of the band around the eyes, or of the whole crop",
    "gather": "gather: features sampled, contours mapped",
    "heads": "both eye heads",
    "tracking": "tracking: lids to the frame, the crop moved",
    "ear": "eye aspect ratio",
    "blinks": "blink detector and session",
}
KINDS = {
    "glance": "of a glance",
    "seen": "whole crop seen",
    "drawn": "its mesh drawn",
    "look": "both at once",
}


@dataclass
class Side:
    """One of those that are compared, and the times of its rounds."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    threads: int | None = None
    layout: str = "rgb"
    version: str = ""
    rounds: list[dict[str, Times]] = field(default_factory=list)

    def frames(self, what: str, clock: str, levels: Sequence[float] = ()) -> list[list[float]]:
        """A frame of the stretch each, and of it its times in all rounds, over the rounds' levels.

        A round that was cut short ends the stretch for all.
        """
        rows = [times[what][clock] for times in self.rounds]
        return [
            [time / level for time, level in zip(times, levels or [1.0] * len(rows), strict=True)]
            for times in zip(*rows, strict=False)
        ]

    def levels(self, what: str, clock: str) -> list[float]:
        """The median of each round."""
        return [statistics.median(times[what][clock]) for times in self.rounds]

    def figures(self, what: str) -> dict[str, float]:
        """Milliseconds a frame, the mean of all, each with its median round or its best one."""
        return {
            f"{clock}_{name}": round(statistics.mean(map(pick, self.frames(what, clock))), 4)
            for clock in ("wall", "cpu")
            if self.rounds[0][what][clock]
            for name, pick in _OF_ROUNDS.items()
        }


_OF_ROUNDS: dict[str, Callable[[list[float]], float]] = {"median": statistics.median, "min": min}


def main() -> int:
    """Prints the tables, or one JSON object."""
    options = _options()
    load_before = os.getloadavg()[0]
    frames, fps, what = _frames(options.video, options.frames)
    with tempfile.TemporaryDirectory(prefix="blinklog-speed-") as name:
        path = Path(name) / "frames.npy"
        np.save(path, frames)
        sides = run(_sides(path, fps, options.threads), options.rounds, Path(name))
    result = {
        "frames": len(frames),
        "size": [frames.shape[2], frames.shape[1]],
        "of": what,
        "rounds": options.rounds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": [round(load_before, 1), round(os.getloadavg()[0], 1)],
        **summary(sides),
    }
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--frames", type=int, default=190, help="frames per round")
    parser.add_argument("--rounds", type=int, default=7, help="rounds after a warm-up round")
    parser.add_argument("--threads", type=int, help="use this many threads instead of one and two")
    parser.add_argument(
        "--video", type=Path, help="use this video instead of the blinking portrait"
    )
    return parser.parse_args()


def _frames(video: Path | None, count: int) -> tuple[Pixels, float, str]:
    """BGR frames (n, height, width, 3), their rate, and what they are of."""
    if video is None:
        portrait, schedule = load_portrait(), demo_schedule(count / PORTRAIT_FPS)
        times = [number / PORTRAIT_FPS for number in range(count)]
        drawn = [portrait.frame(schedule.openness(time_s), **sway(time_s)) for time_s in times]
        return np.stack(drawn), PORTRAIT_FPS, "the blinking portrait"
    camera = ReplayCamera(video)
    camera.start()
    taken: list[Pixels] = []
    while len(taken) < count and (frame := camera.read(10.0)) is not None:
        taken.append(frame.pixels)
    camera.close()
    return np.stack(taken), camera.fps, video.name


def _sides(frames: Path, fps: float, only: int | None) -> list[Side]:
    pythons = {"ai_edge_litert": Path(sys.executable), "tflite_runtime": tflite_python()}
    sides = []
    for runtime, python in pythons.items():
        if python is None:
            loud("no tflite-runtime: no .venv-tflite, and BLINKLOG_TFLITE_PYTHON is not set")
            continue
        for threads in (1, 2) if only is None else (only,):
            for layout in ("bgr", "yuv420"):
                module = "bench.speed.blinklog"
                command = [str(python), "-m", module, str(frames), str(fps), str(threads), layout]
                env = {"BLINKLOG_RUNTIME": runtime}
                sides.append(Side(f"{runtime} {threads} {layout}", command, env, threads, layout))
    if python := mediapipe_python():
        for mesh in ("plain", "refined"):
            command = [str(python), "-m", "bench.speed.facemesh", str(frames), mesh]
            sides.append(Side(f"mediapipe {mesh}", command))
    return sides


def run(sides: Sequence[Side], rounds: int, folder: Path) -> dict[str, Side]:
    """Those of `sides` that work, by name, with their times. The first round warms up."""
    with contextlib.ExitStack() as stack:
        running = []
        for side in sides:
            worker = stack.enter_context(_worker(side, folder / f"{side.name}.log"))
            if started := _answer(worker, side, folder):
                side.version = started["version"]
                running.append((side, worker))
        for number in range(rounds + 1):
            for side, worker in running:
                _stream(worker.stdin).write("round\n")
                _stream(worker.stdin).flush()
                times = _answer(worker, side, folder)
                if number and times:
                    side.rounds.append(times)
    return {side.name: side for side, _ in running if len(side.rounds) == rounds}


@contextlib.contextmanager
def _worker(side: Side, log: Path) -> Iterator[subprocess.Popen[str]]:
    with (
        log.open("w") as errors,
        subprocess.Popen(
            side.command,
            env={**os.environ, "PYTHONPATH": str(ROOT), **side.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _answer(worker: subprocess.Popen[str], side: Side, folder: Path) -> dict[str, Any] | None:
    """The next line of a worker, or None and a loud line if it died."""
    line = _stream(worker.stdout).readline()
    if line:
        answer: dict[str, Any] = json.loads(line)
        return answer
    words = (folder / f"{side.name}.log").read_text().split()
    loud(f"{side.name} can't be measured: {' '.join(words[-25:])}")
    return None


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def summary(sides: dict[str, Side]) -> dict[str, Any]:
    """The numbers. Of the usual threads' two layouts the dearer one counts."""
    threads = ModelConfig().threads
    ours = [each for each in sides.values() if each.threads == threads]
    usual = [each for each in ours if each.env == ours[0].env]  # of the same runtime
    plain, refined = sides.get("mediapipe plain"), sides.get("mediapipe refined")
    return {
        "threads": threads,
        "session_frame_over_invoke": _dearer(_over_invoke(each) for each in usual),
        "dearest_frame_over_invoke": _dearer(_over_invoke(each, max) for each in usual),
        "wall_over_mediapipe": _dearer(_over(each, plain, "wall") for each in usual),
        "cpu_over_mediapipe": _dearer(_over(each, plain, "cpu") for each in usual),
        "floor_over_mediapipe": _dearer(_floor_over(each, plain) for each in usual),
        "wall_over_mediapipe_refined": _dearer(_over(each, refined, "wall") for each in usual),
        "cpu_over_mediapipe_refined": _dearer(_over(each, refined, "cpu") for each in usual),
        "sides": [_row(side, plain, refined) for side in sides.values()],
        "stages": {
            kind: {name: usual[0].figures(f"{kind} {name}") for name in STAGES}
            for kind in (_kinds(usual[0]) if usual else ())
        },
    }


def _dearer(ratios: Iterable[float | None]) -> float | None:
    return max((ratio for ratio in ratios if ratio is not None), default=None)


def _row(side: Side, plain: Side | None, refined: Side | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": side.version + (" refined" if side.name.endswith("refined") else ""),
        "threads": side.threads,
        "layout": side.layout,
        "step": side.figures("step"),
        "wall_over_mediapipe": _over(side, plain, "wall"),
        "cpu_over_mediapipe": _over(side, plain, "cpu"),
        "wall_over_mediapipe_refined": _over(side, refined, "wall"),
        "cpu_over_mediapipe_refined": _over(side, refined, "cpu"),
        "without_face": sum(
            len(times.get("no face", {"wall": []})["wall"]) for times in side.rounds
        ),
    }
    if side.threads is not None:
        row["bare"] = side.figures("bare")
        row["session_frame_over_invoke"] = _over_invoke(side)
        row["dearest_frame_over_invoke"] = _over_invoke(side, max)
        row["floor_over_mediapipe"] = _floor_over(side, plain)
    return row


def _kinds(side: Side) -> list[str]:
    """Of frames that there were: a short stretch may hold no look."""
    return [kind for kind in KINDS if all(f"{kind} heads" in times for times in side.rounds)]


def _over(side: Side | None, other: Side | None, clock: str) -> float | None:
    """A mean frame over the other's usual one of the same round: noise hits both."""
    if side is None or other is None:
        return None
    return _ratio(side, clock, other.levels("step", clock), statistics.mean)


def _over_invoke(
    side: Side, pick: Callable[[Iterable[float]], float] = statistics.mean
) -> float | None:
    """The mean frame, or the dearest, over bare inference."""
    return _ratio(side, "wall", side.levels("bare", "wall"), pick)


def _ratio(
    side: Side, clock: str, levels: Sequence[float], pick: Callable[[Iterable[float]], float]
) -> float:
    frames = side.frames("step", clock, levels)
    return round(pick(statistics.median(times) for times in frames), 3)


def _floor_over(side: Side, other: Side | None) -> float | None:
    """Of the same, what no code around the models can save: their inferences."""
    if other is None:
        return None
    levels, kinds = other.levels("step", "wall"), _kinds(side)
    inferences = [
        statistics.median(times)
        for kind in kinds
        for stage in INFERENCE
        for times in side.frames(f"{kind} {stage}", "wall", levels)
    ]
    return round(sum(inferences) / (len(inferences) / len(INFERENCE)), 3)


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    width, height = result["size"]
    lines = [
        f"{result['frames']} frames of {result['of']}, {width}x{height}, {result['rounds']} rounds;"
        f" {result['machine']}, load {result['load'][0]} to {result['load'][1]}.",
        "Milliseconds a frame: each frame's median round (best round), the mean of all frames.",
        "",
        "| from frame to | threads | frames | wall | CPU | bare inference | step over it |"
        " dearest frame over it | wall, CPU over MediaPipe | over its refined one |"
        " floor: inference over MediaPipe |",
        f"|{'---|' * 11}",
    ]
    for row in result["sides"]:
        ours = row["threads"] is not None
        cells = [
            f"{'blinks' if ours else 'landmarks'}: {row['name']}",
            _cell(row["threads"]),
            row["layout"],
            _figures(row["step"], "wall"),
            _figures(row["step"], "cpu"),
            _figures(row["bare"], "wall") if ours else "-",
            _cell(row.get("session_frame_over_invoke")),
            _cell(row.get("dearest_frame_over_invoke")),
            *(
                ", ".join(_cell(row[f"{clock}_over_{peer}"]) for clock in ("wall", "cpu"))
                for peer in ("mediapipe", "mediapipe_refined")
            ),
            _cell(row.get("floor_over_mediapipe")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *_stage_table(result["stages"]), ""]
    lines += [f"{name} {_cell(value)}" for name, value in result.items() if "_over_" in name]
    return "\n".join(lines)


def _stage_table(stages: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Of the default's step with BGR, wall."""
    lines = [
        f"| stage of the default's step | {' | '.join(KINDS[kind] for kind in stages)} |",
        f"|---|{'---|' * len(stages)}",
    ]
    for name, words in STAGES.items():
        cells = [_figures(figures[name], "wall") for figures in stages.values()]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return lines


def _figures(figures: dict[str, float], clock: str) -> str:
    return f"{figures[f'{clock}_median']:.3f} ({figures[f'{clock}_min']:.3f})"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


if __name__ == "__main__":
    sys.exit(main())
