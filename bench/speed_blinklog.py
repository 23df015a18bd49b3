"""Worker of bench.speed: the whole step from frame to blink event, and bare inference beside it.

    python -m bench.speed_blinklog FRAMES.npy FPS THREADS bgr|yuv420

BLINKLOG_RUNTIME says which of the two runtimes.
"""

import importlib.metadata
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent import models
from agent.clock import Clock
from agent.ear import eye_sample
from agent.landmarks import FaceTracker
from agent.recording import Recording
from agent.records import Frame, Layout
from agent.session import SessionBuilder
from bench.stopwatch import Stopwatch, work

Pixels = NDArray[np.uint8]


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

    def get_input_details(self) -> list[dict[str, Any]]:
        return self.model.get_input_details()

    def get_output_details(self) -> list[dict[str, Any]]:
        return self.model.get_output_details()

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
        self._bare = models.load("face_landmark", cache, threads)
        self._bare.tensor(self._bare.get_input_details()[0]["index"])().fill(0.5)
        tracker = FaceTracker(*(models.load(name, cache, threads) for name in _MODELS))
        self._recording = Recording(tracker, Clock(), camera={}, agent={})
        self._mesh = Watched(models.load("face_landmark", cache, threads))
        self._open = FaceTracker(models.load("face_detection", cache, threads), self._mesh)
        self._builder = SessionBuilder(0.0)

    def measure(self, number: int, stopwatch: Stopwatch) -> None:
        """One round: inference alone, in turn with the step, and the step's stages.

        The stages come apart: with a third model in turn, each finds the caches full of others.
        """
        for _ in self._frames:
            stopwatch.call("bare", self._bare.invoke)
        for time_s, picture in self._timed(number):
            stopwatch.call("bare in turn", self._bare.invoke)
            self._pixels[:] = picture
            frame = Frame(time_s, self._pixels, self._layout)
            sample, _ = stopwatch.call("step", self._recording.add, frame)
            if sample.ear is None:
                stopwatch.add("no face", 0.0)
            if stopwatch.is_over:
                break
        for time_s, picture in self._timed(number):
            self._pixels[:] = picture
            self._stages(Frame(time_s, self._pixels, self._layout), stopwatch)
            if stopwatch.is_over:
                break

    def _timed(self, number: int) -> Iterator[tuple[float, Pixels]]:
        """The frames of a round with their times, which go on from round to round."""
        for index, picture in enumerate(self._frames, number * len(self._frames)):
            yield index / self._fps, picture

    def _stages(self, frame: Frame, stopwatch: Stopwatch) -> None:
        began_s = time.perf_counter()
        face = self._open.find(frame)
        found_s = time.perf_counter()
        sample = eye_sample(frame.time_s, face)
        measured_s = time.perf_counter()
        self._builder.add(sample)
        ended_s = time.perf_counter()
        steps = [
            ("crop", began_s, self._mesh.began_s),
            ("inference", self._mesh.began_s, self._mesh.ended_s),
            ("landmarks", self._mesh.ended_s, found_s),
            ("ear", found_s, measured_s),
            ("blinks", measured_s, ended_s),
        ]
        for name, start_s, end_s in steps:
            stopwatch.add(name, 1000 * (end_s - start_s))


_MODELS = "face_detection", "face_landmark"


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
