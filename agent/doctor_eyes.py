"""Checks of what measures: the camera, and the models on this machine."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent import models
from agent.capture import Camera
from agent.config import CameraConfig
from agent.doctor import Finding, bad, ok
from agent.errors import CameraError
from agent.manifest import read_manifest

ROUNDS = 20
SHARE = 0.7  # of a frame's time: the rest goes into getting the picture and cutting out the face
DARK = 8  # mean of 0 to 255
MODELS = "sudo blink-agent models fetch"


def camera(wish: CameraConfig, open_: Callable[[], Camera], holder: int | None) -> Finding:
    """Whether it opens and gives a picture. `holder`: the process of `watch`, which has it then."""
    if holder is not None and wish.source != "replay":
        return ok(f"{_named(wish)}: blink-agent watch has it open (process {holder})")
    begun = time.monotonic()
    try:
        opened = open_()
        try:
            opened.start()
            frame = opened.read(wish.timeout_s)
        finally:
            opened.close()
    except CameraError as error:
        return bad(f"{_named(wish)}: {error}", _mend(wish, str(error)))
    if frame is None:
        return bad(f"{_named(wish)}: the video has no frame", "name another in [camera] file")
    took = f"first frame after {time.monotonic() - begun:.1f} s"
    dark = "; it is dark: is the lens covered?" if float(frame.pixels.mean()) < DARK else ""
    return ok(f"{_named(wish)}: {opened.width}x{opened.height}, {took}{dark}")


def _named(wish: CameraConfig) -> str:
    where = {"usb": wish.device, "replay": wish.file}.get(wish.source)
    return f"{wish.source} {where}" if where else wish.source


def _mend(wish: CameraConfig, said: str) -> str:
    if "python3-picamera2" in said:
        return "sudo apt install python3-picamera2; or name another [camera] source"
    if wish.source == "picamera2":
        return "switch it off and look at the ribbon cable at both ends; then: rpicam-hello --list"
    if wish.source == "usb":
        return "is it plugged in, and [camera] device its name (ls /dev/v4l/by-id/)? Were you root?"
    return "name a video in [camera] file"


def model(cache: Path, threads: int, fps: float) -> Finding:
    """Whether inference runs here, and fast enough for the camera. Raises ModelError."""
    loaded = {name: models.load(name, cache, threads) for name in read_manifest()}
    times = {name: _time_ms(interpreter) for name, interpreter in loaded.items()}
    runtime = type(loaded["face_landmark"]).__module__.split(".")[0]
    each = ", ".join(f"{name} {time_ms:.1f} ms" for name, time_ms in times.items())
    period_ms = 1000 / fps
    found = f"{each} an inference with {runtime}; a frame at {fps:g} fps has {period_ms:.1f} ms"
    if times["face_landmark"] <= SHARE * period_ms:
        return ok(found)
    can = SHARE * 1000 / times["face_landmark"]
    return bad(found, f"set [camera] fps to {max(1, int(can))} or less, or [model] threads to 2")


def _time_ms(interpreter: models.Interpreter) -> float:
    """The median of a few inferences on noise."""
    noise = np.random.default_rng(0)
    taken = []
    for _ in range(ROUNDS):
        for detail in interpreter.get_input_details():
            tensor = interpreter.tensor(detail["index"])()
            tensor[:] = noise.random(tensor.shape, np.float32)
            del tensor  # or the interpreter refuses to run
        begun = time.perf_counter()
        interpreter.invoke()
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)
