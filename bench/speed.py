"""What a frame costs, from its pixels to blink events, beside bare inference and MediaPipe.

All sides measure the same decoded frames in interleaved rounds, each in a process of its own, timed
by the same call (bench.stopwatch). A frame is copied into place just before, as a camera's driver
or a decoder would leave it; MediaPipe's are turned to RGB, ours are BGR or I420, none of it timed.
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from agent.capture import ReplayCamera
from agent.config import ModelConfig
from bench.environments import ROOT, loud, mediapipe_python, tflite_python
from bench.stopwatch import Times
from scripts.portrait import demo_schedule, load_portrait, sway

Pixels = NDArray[np.uint8]

PORTRAIT_FPS = 30.0
STAGES = {
    "crop": "crop: window, warp, colour, scale",
    "inference": "inference",
    "landmarks": "landmarks to the frame, next region",
    "ear": "eye aspect ratio",
    "blinks": "blink detector and session",
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

    def medians(self, what: str, clock: str) -> list[float]:
        """Of each round."""
        return [statistics.median(times[what][clock]) for times in self.rounds]

    def figures(self, what: str) -> dict[str, float]:
        """Milliseconds a frame: the median round and the best one; a round's figure is a median."""
        return {
            f"{clock}_{name}": round(pick(self.medians(what, clock)), 4)
            for clock in ("wall", "cpu")
            if self.rounds[0][what][clock]
            for name, pick in (("median", statistics.median), ("min", min))
        }


def main() -> int:
    """Prints the tables, or one JSON object."""
    options = _options()
    load_before = os.getloadavg()[0]
    frames, fps, what = _frames(options.video, options.frames)
    with tempfile.TemporaryDirectory(prefix="blinklog-speed-") as name:
        path = Path(name) / "frames.npy"
        np.save(path, frames)
        sides = run(_sides(path, fps), options.rounds, Path(name))
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
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--frames", type=int, default=150, help="frames of a round")
    parser.add_argument("--rounds", type=int, default=7, help="after one that warms up")
    parser.add_argument("--video", type=Path, help="a video in place of the blinking portrait")
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


def _sides(frames: Path, fps: float) -> list[Side]:
    pythons = {"ai_edge_litert": Path(sys.executable), "tflite_runtime": tflite_python()}
    sides = []
    for runtime, python in pythons.items():
        if python is None:
            loud("no tflite-runtime: no .venv-tflite, and BLINKLOG_TFLITE_PYTHON is not set")
            continue
        for threads in (1, 2):
            for layout in ("bgr", "yuv420"):
                module = "bench.speed_blinklog"
                command = [str(python), "-m", module, str(frames), str(fps), str(threads), layout]
                env = {"BLINKLOG_RUNTIME": runtime}
                sides.append(Side(f"{runtime} {threads} {layout}", command, env, threads, layout))
    if python := mediapipe_python():
        for mesh in ("plain", "refined"):
            command = [str(python), "-m", "bench.speed_facemesh", str(frames), mesh]
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
    """The numbers. A ratio is the median of the rounds' own: noise hits both of its sides."""
    threads = ModelConfig().threads
    usual = next(
        (each for each in sides.values() if (each.threads, each.layout) == (threads, "bgr")), None
    )
    plain, refined = sides.get("mediapipe plain"), sides.get("mediapipe refined")
    return {
        "threads": threads,
        "frame_over_invoke": _over_invoke(usual, "bare"),
        "frame_over_invoke_in_turn": _over_invoke(usual, "bare in turn"),
        "wall_over_mediapipe": _over(usual, plain, "wall"),
        "cpu_over_mediapipe": _over(usual, plain, "cpu"),
        "floor_over_mediapipe": _over(usual, plain, "wall", "bare"),
        "wall_over_mediapipe_refined": _over(usual, refined, "wall"),
        "cpu_over_mediapipe_refined": _over(usual, refined, "cpu"),
        "sides": [_row(side, plain) for side in sides.values()],
        "stages": {name: usual.figures(name) for name in STAGES} if usual else {},
    }


def _row(side: Side, plain: Side | None) -> dict[str, Any]:
    bare = {"bare": side.figures("bare")} if side.threads else {}
    over = {"frame_over_invoke": _over_invoke(side, "bare")} if side.threads else {}
    return {
        "name": side.version + (" refined" if side.name.endswith("refined") else ""),
        "threads": side.threads,
        "layout": side.layout,
        "step": side.figures("step"),
        **bare,
        **over,
        "wall_over_mediapipe": _over(side, plain, "wall"),
        "cpu_over_mediapipe": _over(side, plain, "cpu"),
        "floor_over_mediapipe": _over(side, plain, "wall", "bare") if side.threads else None,
        "without_face": sum(
            len(times.get("no face", {"wall": []})["wall"]) for times in side.rounds
        ),
    }


def _over(side: Side | None, other: Side | None, clock: str, what: str = "step") -> float | None:
    if side is None or other is None:
        return None
    pairs = zip(side.medians(what, clock), other.medians("step", clock), strict=True)
    return round(statistics.median(ours / theirs for ours, theirs in pairs), 3)


def _over_invoke(side: Side | None, bare: str) -> float | None:
    """Over inference alone, in a loop of nothing else; or in turn with the step."""
    if side is None:
        return None
    pairs = zip(side.medians("step", "wall"), side.medians(bare, "wall"), strict=True)
    return round(statistics.median(step / bare for step, bare in pairs), 3)


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    width, height = result["size"]
    lines = [
        f"{result['frames']} frames of {result['of']}, {width}x{height}, {result['rounds']} rounds;"
        f" {result['machine']}, load {result['load'][0]} to {result['load'][1]}.",
        "Milliseconds a frame: median round (best round).",
        "",
        "| from frame to | threads | frames | wall | CPU | bare inference | step over it |"
        " wall over MediaPipe | CPU over MediaPipe | floor: inference over MediaPipe |",
        "|---|---|---|---|---|---|---|---|---|---|",
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
            _cell(row.get("frame_over_invoke")),
            _cell(row["wall_over_mediapipe"]),
            _cell(row["cpu_over_mediapipe"]),
            _cell(row["floor_over_mediapipe"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| stage of the default's step | wall |", "|---|---|"]
    for name, figures in result["stages"].items():
        lines.append(f"| {STAGES[name]} | {_figures(figures, 'wall')} |")
    lines.append("")
    lines += [f"{name} {_cell(value)}" for name, value in result.items() if "_over_" in name]
    return "\n".join(lines)


def _figures(figures: dict[str, float], clock: str) -> str:
    return f"{figures[f'{clock}_median']:.3f} ({figures[f'{clock}_min']:.3f})"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


if __name__ == "__main__":
    sys.exit(main())
