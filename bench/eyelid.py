"""Would an eyelid model pay? `python -m bench.eyelid [--data DIR] [--json]`.

MediaPipe's iris model (Ablavatski et al. 2020, arXiv:2006.11341) draws the lids' contour on a crop
of each eye. Here it is asked as a second opinion beside the mesh, alone and combined, on labelled
clips and on the blinking portrait under hard conditions; and what it costs is measured.
"""

import argparse
import importlib
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent import models, packaged_files
from agent.capture import ReplayCamera
from agent.ear import eye_aspect_ratio, eye_sample, visibility, yaw_deg
from agent.errors import ModelError
from agent.landmarks import FaceTracker, Region
from agent.manifest import read_manifest
from agent.records import EyeSample, FaceLandmarks, Frame
from agent.replay import frames_of
from bench.conditions import CONDITIONS, LOWERED_S, Condition, drawn_frames, hard_schedule
from bench.detectors import blinklog, events
from bench.recordings import default_data, read_clips
from bench.scoring import Interval, Score, pairs, score
from scripts.portrait import Schedule

SIZE = 64
"""Width of the model's square input, in pixels."""

SCALE = 2.3
"""A crop is this much wider than the eye, as in MediaPipe's graph."""

RIGHT_CORNERS, LEFT_CORNERS = (33, 133), (362, 263)
"""Mesh landmarks, the one further left in the picture first; right and left are the person's own.

The model knows the person's right eye; the other one is mirrored for it.
"""

EAR_POINTS = (0, 11, 13, 8, 5, 3)
"""p1..p6 of the eye aspect ratio among the contour's points, which are the mesh's own, refined:
33 7 163 144 145 153 154 155 133 along the lower lid, 246 161 160 159 158 157 173 on the upper."""

CLEAR_S = 0.4
"""What lies this close to a movement is not open eyes."""

COSTED = 300
"""Inferences of each model for the medians of the cost."""

_TO_SIGMA = 1.4826 / 6**0.5
"""Median of |x0 - 2 x1 + x2| to the standard deviation of x, for normal noise."""

_MIRROR = np.array([[-1.0, 0, SIZE], [0, 1, 0], [0, 0, 1]])

Trace = Sequence[EyeSample]
Pixels = NDArray[np.uint8]


class EyelidModel:
    """The lids' EAR out of crops of the eyes."""

    def __init__(self, cache: Path) -> None:
        """Raises ModelError."""
        file = read_manifest(Path(__file__).with_suffix(".toml"))["iris_landmark"]
        packaged_files.fetch_files([file], cache)
        runtime = importlib.import_module("ai_edge_litert.interpreter")
        content = packaged_files.verified(file, cache)
        self._model: models.Interpreter = runtime.Interpreter(model_content=content, num_threads=1)
        self._model.allocate_tensors()
        self._input = self._model.tensor(self._model.get_input_details()[0]["index"])
        self._contour = self._model.tensor(self._model.get_output_details()[0]["index"])

    def sample(self, frame: Frame, face: FaceLandmarks | None) -> EyeSample:
        """As `agent.ear.eye_sample`, with EAR out of the crops."""
        if face is None:
            return eye_sample(frame.time_s, None)
        right = self.ear(frame.pixels, face.points[RIGHT_CORNERS, :2], mirrored=False)
        left = self.ear(frame.pixels, face.points[LEFT_CORNERS, :2], mirrored=True)
        yaw = yaw_deg(face.points[RIGHT_CORNERS[0]].tolist(), face.points[LEFT_CORNERS[1]].tolist())
        seen_right, seen_left = visibility(yaw)
        ear = (right * seen_right + left * seen_left) / (seen_right + seen_left)
        return EyeSample(frame.time_s, left, right, ear, face.score)

    def ear(self, bgr: Pixels, corners: NDArray[np.float32], *, mirrored: bool) -> float:
        """Of the eye between `corners`, (2, 2) in pixels."""
        crop = eye_crop(bgr, corners, mirrored=mirrored)
        np.multiply(crop, np.float32(1 / 255), out=self._input()[0])
        self._model.invoke()
        points = self._contour().reshape(-1, 3)[list(EAR_POINTS), :2].tolist()
        return eye_aspect_ratio(*points)


def eye_crop(bgr: Pixels, corners: NDArray[np.float32], *, mirrored: bool) -> Pixels:
    """The eye between `corners`, (2, 2) in pixels, as the model knows it: RGB (64, 64, 3)."""
    (x0, y0), (x1, y1) = corners.tolist()
    size = SCALE * max(abs(x1 - x0), abs(y1 - y0))
    region = Region((x0 + x1) / 2, (y0 + y1) / 2, size, math.atan2(y1 - y0, x1 - x0))
    matrix = region.to_frame(SIZE) @ _MIRROR if mirrored else region.to_frame(SIZE)
    flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
    eye = cv2.warpAffine(bgr, matrix, (SIZE, SIZE), flags=flags, borderMode=border)
    return np.asarray(eye[..., ::-1], np.uint8)


@dataclass(frozen=True)
class Seen:
    """A video as both models saw it, and the truth in frames: blinks, those of them that are
    partial (None where nobody says), what counts neither way, and looks down."""

    name: str
    mesh: Trace
    eyelid: Trace
    blinks: list[Interval]
    partial: list[Interval] | None
    ignored: list[Interval]
    lowered: list[Interval]


def _joined(join: Callable[[float, float], float]) -> Callable[[Seen], Trace]:
    def trace(seen: Seen) -> Trace:
        return [
            a if a.ear is None or b.ear is None else replace(a, ear=join(a.ear, b.ear))
            for a, b in zip(seen.mesh, seen.eyelid, strict=True)
        ]

    return trace


TRACES: Mapping[str, Callable[[Seen], Trace]] = {
    "mesh (as shipped)": lambda seen: seen.mesh,
    "eyelid": lambda seen: seen.eyelid,
    "mean": _joined(lambda a, b: (a + b) / 2),
    "minimum": _joined(min),
    "geometric mean": _joined(lambda a, b: max(a * b, 0.0) ** 0.5),
}
"""What is shown to the detector. The geometric mean adds shares of each model's own level."""


def both(seen: Seen) -> list[Interval]:
    """The mesh's blinks that the eyelid model saw too."""
    eyelid = blinklog(seen.eyelid)
    return [each for each in blinklog(seen.mesh) if _meets(each, eyelid)]


def either(seen: Seen) -> list[Interval]:
    """The mesh's blinks, and those that the eyelid model alone saw."""
    mesh = blinklog(seen.mesh)
    return sorted(mesh + [each for each in blinklog(seen.eyelid) if not _meets(each, mesh)])


def found_by(method: str, seen: Seen) -> list[Interval]:
    """The blinks, as intervals of frames."""
    if method in EVENTS:
        return EVENTS[method](seen)
    return blinklog(TRACES[method](seen))


EVENTS: Mapping[str, Callable[[Seen], list[Interval]]] = {"both agree": both, "either": either}


def _meets(interval: Interval, others: Sequence[Interval]) -> bool:
    return any(interval[0] <= last and first <= interval[1] for first, last in others)


def clips(data: Path, see: "Eyes") -> Iterator[Seen]:
    """The labelled clips."""
    for clip in read_clips(data):
        with closing(frames_of(ReplayCamera(clip.path))) as frames:
            mesh, eyelid = see(frames)
        yield Seen(clip.path.name, mesh, eyelid, clip.labelled, None, clip.ignored, [])


def portraits(see: "Eyes", conditions: Sequence[Condition] = CONDITIONS) -> Iterator[Seen]:
    """The portrait, blinking to the same schedule in each condition."""
    for condition in conditions:
        schedule = hard_schedule(condition.partial)
        blinks = [each for each in schedule if each.duration_s < LOWERED_S]
        partial = [each for each in blinks if each.depth == condition.partial]
        lowered = [each for each in schedule if each.duration_s >= LOWERED_S]
        truth, shallow, down = (
            Schedule(tuple(each)).truth(condition.fps) for each in (blinks, partial, lowered)
        )
        yield Seen(
            condition.name, *see(drawn_frames(condition, schedule)), truth, shallow, [], down
        )


class Eyes:
    """Both models on the frames of a video."""

    def __init__(self, cache: Path) -> None:
        """Raises ModelError."""
        self._cache = cache
        self._eyelid = EyelidModel(cache)

    def __call__(self, frames: Iterator[Frame]) -> tuple[Trace, Trace]:
        tracker = FaceTracker(*(models.load(name, self._cache) for name in _MODELS))
        mesh, eyelid = [], []
        for frame in frames:
            face = tracker.find(frame)
            mesh.append(eye_sample(frame.time_s, face))
            eyelid.append(self._eyelid.sample(frame, face))
        return mesh, eyelid

    def cost(self) -> dict[str, float]:
        """Milliseconds of one inference of each, and what both eyes cost over the mesh's one."""
        mesh, picture = models.load("face_landmark", self._cache), np.zeros((480, 640, 3), np.uint8)
        corners = np.array([[300, 240], [340, 242]], np.float32)

        def both_eyes() -> None:
            for mirrored in (False, True):
                self._eyelid.ear(picture, corners, mirrored=mirrored)

        times: dict[str, list[float]] = {"mesh_ms": [], "eyelids_ms": []}
        for _ in range(COSTED):
            for name, call in (("mesh_ms", mesh.invoke), ("eyelids_ms", both_eyes)):
                began_s = time.perf_counter()
                call()
                times[name].append(1000 * (time.perf_counter() - began_s))
        ratio = statistics.median(
            eyelids / mesh_ms for mesh_ms, eyelids in zip(*times.values(), strict=True)
        )
        cost = {name: round(statistics.median(each), 3) for name, each in times.items()}
        return {**cost, "eyelids_over_mesh": round(ratio, 3)}


_MODELS = "face_detection", "face_landmark"


def signal(trace: Trace, seen: Seen) -> tuple[list[float], float] | None:
    """The depth of each labelled blink that was seen, and the noise of open eyes.

    Shares of the level within `CLEAR_S` of the blink, and of the median. None without a face.
    """
    ears = np.array([np.nan if each.ear is None else each.ear for each in trace])
    if np.isnan(ears).all():
        return None
    times = np.array([each.time_s for each in trace])
    still = ~np.isnan(ears)
    for first, last in [*seen.blinks, *seen.ignored, *seen.lowered]:
        still &= (times < times[first] - CLEAR_S) | (times > times[last] + CLEAR_S)
    bends = np.abs(ears[:-2] - 2 * ears[1:-1] + ears[2:])[still[:-2] & still[1:-1] & still[2:]]
    noise = _TO_SIGMA * float(np.median(bends)) / float(np.median(ears[still]))
    depths = []
    for first, last in seen.blinks:
        beside = (times > times[first] - CLEAR_S) & (times < times[last] + CLEAR_S)
        beside[first : last + 1] = False
        beside &= ~np.isnan(ears)
        within = ears[first : last + 1]
        if beside.any() and not np.isnan(within).any():
            level = float(np.quantile(ears[beside], 0.75))
            depths.append(1 - float(within.min()) / level)
    return depths, noise


def completeness(trace: Trace, seen: Seen) -> tuple[int, int]:
    """Of how many found blinks it is right whether they are complete, and how many were found."""
    if seen.partial is None:
        return 0, 0
    found = [event for event in events(trace) if not event.long]
    matched = pairs(blinklog(trace), seen.blinks)
    right = sum(found[i].complete != (seen.blinks[j] in seen.partial) for i, j in matched)
    return right, len(matched)


def row(method: str, videos: Sequence[Seen]) -> dict[str, Any]:
    """Scores pooled over `videos`; depth, noise and their ratio as medians, None for events."""
    total = sum(
        (score(found_by(method, each), each.blinks, each.ignored) for each in videos), Score()
    )
    counts = {"true": total.true, "false": total.false, "missed": total.missed, "f1": total.f1}
    if method in EVENTS:
        return counts | dict.fromkeys(("depth", "noise", "signal_to_noise", "completeness"))
    told = [completeness(TRACES[method](each), each) for each in videos]
    right, found = (sum(column) for column in zip(*told, strict=True))
    signals = [pair for each in videos if (pair := signal(TRACES[method](each), each))]
    dips = [(depth, noise) for depths, noise in signals for depth in depths]
    return counts | {
        "depth": statistics.median(depth for depth, _ in dips),
        "noise": statistics.median(noise for _, noise in signals),
        "signal_to_noise": statistics.median(depth / noise for depth, noise in dips),
        "completeness": right / found if found else None,
    }


def measure(data: Path) -> dict[str, Any]:
    """The table as one object. Raises ModelError."""
    see = Eyes(models.default_cache())
    real, drawn = list(clips(data, see)), list(portraits(see))
    methods = [*TRACES, *EVENTS]
    return {
        "cost": see.cost(),
        "clips": {method: row(method, real) for method in methods} if real else {},
        "portrait": {method: row(method, drawn) for method in methods},
        "f1": {
            each.name: {
                method: score(found_by(method, each), each.blinks, each.ignored).f1
                for method in methods
            }
            for each in real + drawn
        },
    }


FIGURES = {
    "depth": ("depth of a blink", 2),
    "noise": ("noise of open eyes", 4),
    "signal_to_noise": ("depth over noise", 0),
    "completeness": ("rightly complete or partial", 2),
}


def table(result: Mapping[str, Any]) -> str:
    """Markdown."""
    cost, methods = result["cost"], [*TRACES, *EVENTS]
    lines = [
        f"Both eyelids cost {cost['eyelids_ms']} ms a frame, the mesh's inference"
        f" {cost['mesh_ms']} ms: {cost['eyelids_over_mesh']:.2f} of it on top.",
        "",
        "| | " + " | ".join(methods) + " |",
        "|---" * (len(methods) + 1) + "|",
    ]
    for place in ("clips", "portrait"):
        if rows := result[place]:
            counts = [f"{r['true']} / {r['false']} / {r['missed']}" for r in rows.values()]
            lines.append(_line(f"{place}: true / false / missed", counts))
            lines.append(_line(f"{place}: F1", [f"{r['f1']:.3f}" for r in rows.values()]))
            for name, (title, digits) in FIGURES.items():
                cells = ["-" if r[name] is None else f"{r[name]:.{digits}f}" for r in rows.values()]
                if set(cells) != {"-"}:
                    lines.append(_line(f"{place}: {title}", cells))
    for name, by_method in result["f1"].items():
        lines.append(_line(f"F1, {name}", [f"{f1:.3f}" for f1 in by_method.values()]))
    lines.append(_line("inference over the mesh's", ["1.00"] + [f"{c:.2f}" for c in _costs(cost)]))
    return "\n".join(lines)


def _costs(cost: Mapping[str, float]) -> list[float]:
    """The corners of the eyes come from the mesh: it runs in any case."""
    return [1 + cost["eyelids_over_mesh"]] * (len(TRACES) + len(EVENTS) - 1)


def _line(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def main() -> int:
    """Measures and prints; 1 without the models."""
    parser = argparse.ArgumentParser(prog="bench.eyelid", description="Would it pay?")
    parser.add_argument("--data", type=Path, default=default_data(), help="the labelled recordings")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    options = parser.parse_args()
    try:
        result = measure(options.data)
    except ModelError as error:
        print(f"bench.eyelid: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
