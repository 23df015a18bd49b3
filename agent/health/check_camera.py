"""Checks of the camera and of the models on this machine."""

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
from agent.face.mesh import CROP, AttentionMesh, load_models
from agent.face.tracker import LOOK_S
from agent.health.doctor import Finding, bad, ok
from agent.measure.recording import Tracker
from agent.records import FaceLandmarks, Frame

ROUNDS = 20
SHARE = 0.7  # of a frame's time; the rest is for reading the picture and cropping the face
DARK = 8  # mean pixel value, 0 to 255
FACE_FRAMES = 30  # one second at the usual rate, in which the detector runs ten times
MODELS = "sudo blink-agent models fetch"


def camera(
    settings: CameraConfig,
    open_camera: Callable[[], Camera],
    holder: int | None,
    tracker: Callable[[], Tracker] | None = None,
) -> Finding:
    """Check that the camera opens and gives a picture, and that a face in it is upright.

    `holder` is the process of `watch` if that has the camera open. A missing face is no fault.
    """
    if holder is not None and settings.source != "replay":
        return ok(f"{_named(settings)}: in use by blink-agent watch (process {holder})")
    begun = time.monotonic()
    try:
        opened = open_camera()
        try:
            opened.start()
            frame = opened.read(settings.timeout_s)
            took_s = time.monotonic() - begun
            face = (
                None
                if frame is None or tracker is None
                else _face(opened, frame, settings, tracker)
            )
        finally:
            opened.close()
    except CameraError as error:
        return bad(f"{_named(settings)}: {error}", _hint(settings, str(error)))
    if frame is None:
        return bad(
            f"{_named(settings)}: the video has no frames", "set [camera] file to another video"
        )
    dark = "; it is dark: is the lens covered?" if float(frame.pixels.mean()) < DARK else ""
    size = f"{opened.width}x{opened.height}, first frame after {took_s:.1f} s"
    found = f"{_named(settings)}: {size}{dark}"
    return ok(found) if tracker is None else _upright(found, face)


def _upright(found: str, face: FaceLandmarks | None) -> Finding:
    if face is None:
        return ok(f"{found}; no face in it now")
    if face.turned:
        return bad(f"{found}; the face in it is not upright", _turn(face))
    return ok(f"{found}; a face in it, upright")


def _face(
    opened: Camera, first: Frame, settings: CameraConfig, tracker: Callable[[], Tracker]
) -> FaceLandmarks | None:
    """Return the first face in a few frames. Return None too if the models are missing."""
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
        frame = opened.read(settings.timeout_s)
    return None


def _turn(face: FaceLandmarks) -> str:
    (_, b, _), (_, d, _) = face.to_frame.tolist()
    degrees = round(math.degrees(math.atan2(b, d)) / 90) * 90 % 360
    return f"set [camera] rotate to {degrees}"


def _named(settings: CameraConfig) -> str:
    where = {"usb": settings.device, "replay": settings.file}.get(settings.source)
    return f"{settings.source} {where}" if where else settings.source


def _hint(settings: CameraConfig, said: str) -> str:
    if "python3-picamera2" in said:
        return "sudo apt install python3-picamera2; or set another [camera] source"
    if settings.source == "picamera2":
        return "switch it off, check both ends of the ribbon cable, then run: rpicam-hello --list"
    if settings.source == "usb":
        return "is it plugged in? Is [camera] device its name (ls /dev/v4l/by-id/)? Run as root?"
    return "set [camera] file to a video"


def model(cache: Path, threads: int, fps: float) -> Finding:
    """Check that the models run here, fast enough for the camera. Raises ModelError."""
    models = load_models(cache, threads)
    look_ms, glance_ms = times_ms(AttentionMesh(models), ROUNDS)
    runtime = type(models.trunk).__module__.split(".")[0]
    mean_ms, period_ms = glance_ms + look_ms / max(1.0, LOOK_S * fps), 1000 / fps
    found = (
        f"the whole face takes {look_ms:.1f} ms, the eyes alone {glance_ms:.1f} ms with {runtime};"
        f" a frame at {fps:g} fps has {period_ms:.1f} ms"
    )
    if mean_ms <= SHARE * period_ms:
        return ok(found)
    # The frame rate at which glances and the looks between them fill that share.
    can = (SHARE * 1000 - look_ms / LOOK_S) / glance_ms
    return bad(found, f"set [camera] fps to {max(1, int(can))} or less, or [model] threads to 2")


def times_ms(mesh: AttentionMesh, rounds: int) -> tuple[float, float]:
    """Return the median times of a look at a face and a glance at its eyes, on noise, in ms."""
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
