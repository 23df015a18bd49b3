"""Checks of what measures: the camera, and the models on this machine."""

import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.capture import Camera
from agent.config import CameraConfig
from agent.errors import CameraError, ModelError
from agent.face.crops import Affine, Region
from agent.face.landmarks import LOOK_S
from agent.face.mesh import CROP, AttentionMesh, load_models
from agent.health.doctor import Finding, bad, ok
from agent.measure.recording import Tracker
from agent.records import FaceLandmarks, Frame

ROUNDS = 20
SHARE = 0.7  # of a frame's time: the rest goes into getting the picture and cutting out the face
DARK = 8  # mean of 0 to 255
FACE_FRAMES = 30  # a second at the usual rate: the detector looks ten times in it
MODELS = "sudo blink-agent models fetch"


def camera(
    wish: CameraConfig,
    open_: Callable[[], Camera],
    holder: int | None,
    tracker: Callable[[], Tracker] | None = None,
) -> Finding:
    """Whether it opens and gives a picture, and whether a face in it is upright.

    `holder` is the process of `watch`, which has it then. No face is no fault.
    """
    if holder is not None and wish.source != "replay":
        return ok(f"{_named(wish)}: blink-agent watch has it open (process {holder})")
    begun = time.monotonic()
    try:
        opened = open_()
        try:
            opened.start()
            frame = opened.read(wish.timeout_s)
            took_s = time.monotonic() - begun
            face = None if frame is None or tracker is None else _face(opened, frame, wish, tracker)
        finally:
            opened.close()
    except CameraError as error:
        return bad(f"{_named(wish)}: {error}", _mend(wish, str(error)))
    if frame is None:
        return bad(f"{_named(wish)}: the video has no frame", "name another in [camera] file")
    dark = "; it is dark: is the lens covered?" if float(frame.pixels.mean()) < DARK else ""
    size = f"{opened.width}x{opened.height}, first frame after {took_s:.1f} s"
    found = f"{_named(wish)}: {size}{dark}"
    return ok(found) if tracker is None else _upright(found, face)


def _upright(found: str, face: FaceLandmarks | None) -> Finding:
    if face is None:
        return ok(f"{found}; no face in it now")
    if face.turned:
        return bad(f"{found}; the face in it is not upright", _turn(face))
    return ok(f"{found}; a face in it, upright")


def _face(
    opened: Camera, first: Frame, wish: CameraConfig, tracker: Callable[[], Tracker]
) -> FaceLandmarks | None:
    """The first face in a few frames; None as well where the models are missing."""
    frame: Frame | None = first
    try:
        finder = tracker()
    except ModelError:
        return None
    for _ in range(FACE_FRAMES):
        if frame is None:
            return None
        if (face := finder.find(frame)) is not None:
            return face
        frame = opened.read(wish.timeout_s)
    return None


def _turn(face: FaceLandmarks) -> str:
    (_, b, _), (_, d, _) = face.to_frame.tolist()
    degrees = round(math.degrees(math.atan2(b, d)) / 90) * 90 % 360
    return f"set [camera] rotate to {degrees}"


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
    """Whether the models run here, and fast enough for the camera. Raises ModelError."""
    models = load_models(cache, threads)
    look_ms, glance_ms = times_ms(AttentionMesh(models), ROUNDS)
    runtime = type(models.trunk).__module__.split(".")[0]
    mean_ms, period_ms = glance_ms + look_ms / max(1.0, LOOK_S * fps), 1000 / fps
    found = (
        f"a look at the face {look_ms:.1f} ms, at the eyes alone {glance_ms:.1f} ms with {runtime};"
        f" a frame at {fps:g} fps has {period_ms:.1f} ms"
    )
    if mean_ms <= SHARE * period_ms:
        return ok(found)
    # Solved for the rate at which glances and the looks between them fill that share.
    can = (SHARE * 1000 - look_ms / LOOK_S) / glance_ms
    return bad(found, f"set [camera] fps to {max(1, int(can))} or less, or [model] threads to 2")


def times_ms(mesh: AttentionMesh, rounds: int) -> tuple[float, float]:
    """Of a look at a whole face and of a glance at its eyes: medians of `rounds`, on noise."""
    pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    frame, crop = Frame(0.0, pixels), Region(320, 240, 300).to_frame(CROP)
    return (
        _median_ms(rounds, mesh.look, frame, crop),
        _median_ms(rounds, mesh.glance, frame, crop),
    )


def _median_ms(
    rounds: int, act: Callable[[Frame, Affine], object], frame: Frame, crop: Affine
) -> float:
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        act(frame, crop)
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)
