"""A Raspberry Pi's own camera, through picamera2, which only its constructor imports."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.errors import CameraError
from agent.records import Frame

OPEN_TIMEOUT_S = 15.0
"""A cold sensor takes seconds to begin, as USB cameras do; OpenCV gives up on these after ten."""

STOP_TIMEOUT_S = 5.0
"""A healthy camera stops within a few frames; one that was unplugged never does."""


class PiCamera:
    """A Pi's camera through picamera2. Frames are I420; their time is the sensor's, monotonic.

    `frames_dropped` counts the gaps in the sensor's own times: the frame rate is fixed.
    """

    source = "picamera2"

    def __init__(self, width: int, height: int, fps: float) -> None:
        self.frames_dropped = 0
        self._period_s = 1 / fps
        self._last_s: float | None = None
        self._camera = _open_picamera(width, height, fps)
        # What libcamera made of the wish: it rounds sizes to what the hardware can do.
        self.width, self.height = self._camera.camera_configuration()["lores"]["size"]

    def start(self) -> None:
        """Begin to give frames. Raises CameraError."""
        self._last_s = None
        self.frames_dropped = 0
        _bounded(self._camera.start, OPEN_TIMEOUT_S, "start")

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame. Raises CameraError."""
        try:
            # Without `wait` a camera that timed out inside libcamera is waited for for ever.
            request = self._camera.capture_request(wait=timeout_s)
            try:
                time_s = request.get_metadata()["SensorTimestamp"] / 1e9
                pixels = _unpadded(request.make_array("lores"), self.width, self.height)
            finally:
                request.release()
        except TimeoutError as error:
            raise CameraError(f"the Pi's camera: no frame within {timeout_s:g} s") from error
        except (RuntimeError, KeyError) as error:
            raise CameraError(f"the Pi's camera: {error}") from error
        if self._last_s is not None:
            self.frames_dropped += max(0, round((time_s - self._last_s) / self._period_s) - 1)
        self._last_s = time_s
        return Frame(time_s, pixels, "yuv420")

    def stop(self) -> None:
        """Stop giving frames. Raises CameraError where picamera2 would wait for ever."""
        _bounded(self._camera.stop, STOP_TIMEOUT_S, "stop")

    def close(self) -> None:
        """Let go of the camera."""
        _bounded(self._camera.close, STOP_TIMEOUT_S, "close")


def _open_picamera(width: int, height: int, fps: float) -> Any:
    try:
        from picamera2 import Picamera2  # imports libcamera, which only a Pi has
    except ImportError as error:
        raise CameraError(
            "source 'picamera2': expected the system's package python3-picamera2 and an"
            f" environment that sees it, found none ({error})"
        ) from error
    period_us = round(1e6 / fps)
    try:
        camera = Picamera2()
        # The small second stream is what is measured. There has to be a main one: twice the size
        # makes libcamera choose a sensor mode with a wide view instead of a cropped one.
        twice = 2 if width <= 800 else 1
        configuration = camera.create_video_configuration(
            main={"size": (twice * width, twice * height), "format": "YUV420"},
            lores={"size": (width, height), "format": "YUV420"},
            controls={"FrameDurationLimits": (period_us, period_us)},
        )
        camera.configure(configuration)
    except (RuntimeError, IndexError, ValueError) as error:
        raise CameraError(f"the Pi's camera can't be opened: {error}") from error
    return camera


def _unpadded(array: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """An I420 picture without its rows' padding: (height * 3 / 2, width) from (.., stride).

    Chroma rows are half as long: two lie in a row of the array, each with its own padding.
    """
    stride = array.shape[1]
    if stride == width:
        return array
    luma = array[:height, :width]
    chroma = array[height : height * 3 // 2].reshape(height, stride // 2)[:, : width // 2]
    return np.concatenate([luma, chroma.reshape(height // 2, width)])


def _bounded(call: Callable[[], object], timeout_s: float, what: str) -> None:
    """Calls into picamera2 with a bound: with the camera unplugged some of them never return."""
    faults: list[Exception] = []

    def run() -> None:
        try:
            call()
        except Exception as error:  # handed to the caller below, whatever it is
            faults.append(error)

    thread = threading.Thread(target=run, name=f"picamera-{what}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise CameraError(f"the Pi's camera did not {what} within {timeout_s:g} s")
    if faults:
        raise CameraError(f"the Pi's camera did not {what}: {faults[0]}") from faults[0]
