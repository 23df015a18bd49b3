"""Videos whose frames can be told apart, and a clock that a test moves."""

from pathlib import Path

import cv2
import numpy as np

from agent.capture import ReplayCamera
from agent.records import Frame

FPS = 25
FRAMES = 20


def write(path: Path, frames: int = FRAMES, fps: float = FPS, code: str = "MJPG") -> Path:
    """A video whose n-th frame has the grey level 10 n, until that begins again at 250."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (64, 48))
    for number in range(frames):
        video.write(np.full((48, 64, 3), 10 * number % 250, np.uint8))
    video.release()
    return path


def frames_of(camera: ReplayCamera) -> list[Frame]:
    camera.start()
    return list(iter(lambda: camera.read(5.0), None))  # type: ignore[arg-type]


def numbers(frames: list[Frame]) -> list[int]:
    """Which frames of `write` these are."""
    return [round(float(frame.pixels.mean()) / 10) for frame in frames]


class Clock:
    """Time that passes only when somebody sleeps or works."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
