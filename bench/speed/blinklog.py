"""Worker of bench.speed: the whole step from frame to blink event, and bare inference.

    python -m bench.speed.blinklog FRAMES.npy FPS THREADS bgr|yuv420

BLINKLOG_RUNTIME selects one of the two runtimes.
"""

import importlib.metadata
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.clock import Clock
from agent.ear import eye_sample
from agent.face import models
from agent.face.mesh import FaceModels, load_models
from agent.face.tracker import FaceTracker
from agent.measure.recording import Recording
from agent.measure.session import SessionBuilder
from agent.records import Frame, Layout
from bench import peers
from bench.speed.stopwatch import Stopwatch, work

Pixels = NDArray[np.uint8]

HEADS = {"right_eye", "left_eye", "right_iris", "left_iris"}
"""What reads the features of the eyes. The irises do not run in each frame."""

UNTIMED = 5
"""A round's first fifth of the frames is not timed: in it the face is found."""


@dataclass
class Watched:
    """An interpreter that notes when it ran last, in seconds."""

    model: models.Interpreter
    began_s: float = field(default=0.0, init=False)
    ended_s: float = field(default=0.0, init=False)

    def invoke(self) -> None:
        self.began_s = time.perf_counter()
        self.model.invoke()
        self.ended_s = time.perf_counter()

    @property
    def took_s(self) -> float:
        """The last run."""
        return self.ended_s - self.began_s

    def get_input_details(self) -> list[dict[str, Any]]:
        return self.model.get_input_details()

    def get_output_details(self) -> list[dict[str, Any]]:
        return self.model.get_output_details()

    def resize_tensor_input(self, input_index: int, tensor_size: Sequence[int]) -> None:
        self.model.resize_tensor_input(input_index, tensor_size)

    def allocate_tensors(self) -> None:
        self.model.allocate_tensors()

    def tensor(self, tensor_index: int) -> Callable[[], NDArray[Any]]:
        return self.model.tensor(tensor_index)


class Blinklog:
    """The agent's classes, joined as in `watch`, and once more with their stages open."""

    def __init__(self, frames: Pixels, fps: float, threads: int, layout: Layout) -> None:
        self._fps, self._layout = fps, layout
        # Before anything is timed: OpenCV's threads go on spinning for a while after a conversion.
        self._frames = [_in_layout(picture, layout) for picture in frames]
        self._pixels = np.empty_like(self._frames[0])
        cache = models.default_cache()
        self._bare = peers.load("face_landmark", cache, threads)
        self._bare.tensor(self._bare.get_input_details()[0]["index"])().fill(0.5)
        self._tracker = FaceTracker(load_models(cache, threads))
        self._watched = _watched(load_models(cache, threads))
        self._open = FaceTracker(FaceModels(**self._watched))

    def measure(self, _number: int, stopwatch: Stopwatch) -> None:
        """One round: bare inference alone, then the step, then the step's stages.

        All rounds are alike: the same frames at the same times, of a session that begins with them.
        So a frame that the scheduler made dear in one round can be told from one that is dear.
        """
        self._time_bare(stopwatch)
        stopwatch.begin_pass()
        self._time_steps(stopwatch)
        stopwatch.begin_pass()
        self._time_stages(stopwatch)

    def _time_bare(self, stopwatch: Stopwatch) -> None:
        for _ in self._frames:
            stopwatch.call("bare", self._bare.invoke)
            if stopwatch.is_over:
                return

    def _time_steps(self, stopwatch: Stopwatch) -> None:
        recording = Recording(self._tracker, Clock(), camera={}, agent={})
        for frame, timed in self._stretch():
            if not timed:
                recording.add(frame)
                continue
            sample, _ = stopwatch.call("step", recording.add, frame)
            if sample.ear is None:
                stopwatch.add("no face", 0.0)
            if stopwatch.is_over:
                return

    def _time_stages(self, stopwatch: Stopwatch) -> None:
        self._open.reset()
        builder = SessionBuilder(0.0)
        for frame, timed in self._stretch():
            self._stages(frame, builder, stopwatch if timed else Stopwatch())
            if timed and stopwatch.is_over:
                return

    def _stretch(self) -> Iterator[tuple[Frame, bool]]:
        """The frames, each put into place just before, and whether it is to be timed."""
        for index, picture in enumerate(self._frames):
            self._pixels[:] = picture
            frame = Frame(index / self._fps, self._pixels, self._layout)
            yield frame, index >= len(self._frames) // UNTIMED

    def _stages(self, frame: Frame, builder: SessionBuilder, stopwatch: Stopwatch) -> None:
        began_s = time.perf_counter()
        face = self._open.find(frame, builder.irises_below)
        found_s = time.perf_counter()
        sample = eye_sample(frame.time_s, face)
        measured_s = time.perf_counter()
        builder.add(sample)
        ended_s = time.perf_counter()
        names = "face_stem", "trunk", "eye_stem"
        face_stem, trunk, eye_stem = (self._watched[name] for name in names)
        heads = [each for name, each in self._watched.items() if name in HEADS]
        heads = [each for each in heads if each.began_s > began_s]
        heads_s, last_s = sum(each.took_s for each in heads), max(each.ended_s for each in heads)
        whole, drawn = not eye_stem.began_s > began_s, trunk.began_s > began_s
        stem, trunk_s = face_stem if whole else eye_stem, trunk.took_s if drawn else 0.0
        stages = {
            "crop": stem.began_s - began_s - trunk_s,
            "trunk": trunk_s,
            "stem": stem.took_s,
            "gather": last_s - stem.ended_s - heads_s,
            "heads": heads_s,
            "tracking": found_s - last_s,
            "ear": measured_s - found_s,
            "blinks": ended_s - measured_s,
        }
        kind = "look" if whole and drawn else "seen" if whole else "drawn" if drawn else "glance"
        for name, taken_s in stages.items():
            stopwatch.add(f"{kind} {name}", 1000 * taken_s)


def _watched(parts: FaceModels) -> dict[str, Watched]:
    return {each.name: Watched(getattr(parts, each.name)) for each in fields(parts)}


def _in_layout(bgr: Pixels, layout: Layout) -> Pixels:
    if layout == "bgr":
        return bgr
    return np.asarray(cv2.cvtColor(np.asarray(bgr), cv2.COLOR_BGR2YUV_I420), np.uint8)


def main() -> None:
    """Measures until standard input ends."""
    path, fps, threads, layout = sys.argv[1:]
    frames = np.load(path, mmap_mode="r")
    layouts: dict[str, Layout] = {"bgr": "bgr", "yuv420": "yuv420"}
    blinklog = Blinklog(frames, float(fps), int(threads), layouts[layout])
    package = os.environ["BLINKLOG_RUNTIME"].replace("_", "-")
    work(f"{package} {importlib.metadata.version(package)}", blinklog.measure)


if __name__ == "__main__":
    main()
