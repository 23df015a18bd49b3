"""The Raspberry Pi's own camera, through picamera2, which is imported only in the constructor."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.calls import CallThread, OverdueError
from agent.errors import CameraError
from agent.records import Frame

FORMAT = "YUV420"
"""What every camera at the Pi's connector delivers. libcamera gives others where a camera has none,
such as a USB camera."""

OPEN_TIMEOUT_S = 15.0
"""A cold sensor, like a USB camera, takes seconds to start; OpenCV gives up on USB cameras after
ten."""

GRACE_S = 1.0
"""picamera2 has timeouts of its own. If a call takes this much longer, it hangs in code without
one."""

MAX_GAP_S = 3600.0
"""A longer gap is an invalid timestamp, not lost frames. The consumer of the frame reports it."""

STOP_TIMEOUT_S = 5.0
"""A working camera stops within a few frames; an unplugged one never does."""


T = TypeVar("T")


class PiCamera:
    """A Pi camera through picamera2. Frames are I420, with the sensor's monotonic timestamps.

    The frame rate is fixed, so `frames_dropped` is computed from gaps between the timestamps.
    """

    source = "picamera2"

    def __init__(self, width: int, height: int, fps: float) -> None:
        self.frames_dropped = 0
        self._period_s = 1 / fps
        self._last_s: float | None = None
        self._calls = _Calls()
        self._camera = self._calls.bounded(
            lambda: _open_picamera(width, height, fps), OPEN_TIMEOUT_S, "open"
        )
        # The actual values: libcamera adjusts them to what the hardware supports.
        stream = self._camera.camera_configuration()["lores"]
        if stream["format"] != FORMAT:
            self.close()
            raise CameraError(
                f"the Pi's camera: expected pictures in {FORMAT}, found {stream['format']}: set"
                ' source = "usb" for a USB camera'
            )
        self.width, self.height = stream["size"]

    def check(self) -> None:
        """Do nothing: a ribbon cable is not unplugged while the power is on."""

    def start(self) -> None:
        """Start capturing. Raises CameraError."""
        self._last_s = None
        self.frames_dropped = 0
        self._calls.bounded(self._start, OPEN_TIMEOUT_S, "start")

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame. Raises CameraError."""
        try:
            frame = self._calls.bounded(
                lambda: self._request(timeout_s), timeout_s + GRACE_S, "deliver a frame"
            )
        except CameraError as error:
            if not isinstance(error.__cause__, TimeoutError):
                raise
            # A pending wait for a frame inside picamera2 would block `stop`.
            self._calls.bounded(self._camera.cancel_all_and_flush, STOP_TIMEOUT_S, "cancel")
            raise CameraError(f"the Pi's camera: no frame within {timeout_s:g} s") from error
        if self._last_s is not None:
            gap_s = frame.time_s - self._last_s
            if gap_s <= MAX_GAP_S:
                self.frames_dropped += max(0, round(gap_s / self._period_s) - 1)
        self._last_s = frame.time_s
        return frame

    def stop(self) -> None:
        """Stop capturing. Raises CameraError if picamera2 doesn't stop in time."""
        self._calls.bounded(self._camera.stop, STOP_TIMEOUT_S, "stop")

    def close(self) -> None:
        """Release the camera."""
        try:
            self._calls.bounded(self._camera.close, STOP_TIMEOUT_S, "close")
        finally:
            self._calls.end()

    def _start(self) -> None:
        # Repeated at each start: picamera2 applies a configuration's controls only once.
        self._camera.set_controls({"FrameDurationLimits": _durations_us(1 / self._period_s)})
        self._camera.start()

    def _request(self, timeout_s: float) -> Frame:
        """Return picture and timestamp of the same request."""
        # Without `wait`, this would block forever after a timeout inside libcamera.
        request = self._camera.capture_request(wait=timeout_s)
        try:
            time_s = request.get_metadata()["SensorTimestamp"] / 1e9
            pixels = _unpadded(request.make_array("lores"), self.width, self.height)
        finally:
            request.release()
        return Frame(time_s, pixels, "yuv420")


def _open_picamera(width: int, height: int, fps: float) -> Any:
    try:
        from picamera2 import Picamera2  # imports libcamera, which only a Pi has
    except ImportError as error:
        raise CameraError(
            "source 'picamera2': expected the system package python3-picamera2 and a virtual"
            f" environment with access to it, found none ({error})"
        ) from error
    try:
        camera = Picamera2()
        # Only the small second stream is measured, but a main stream is required. Twice the size
        # makes libcamera choose a sensor mode with the full field of view, not a cropped one.
        twice = 2 if width <= 800 else 1
        configuration = camera.create_video_configuration(
            main={"size": (twice * width, twice * height), "format": FORMAT},
            lores={"size": (width, height), "format": FORMAT},
            controls={"FrameDurationLimits": _durations_us(fps)},
        )
        camera.configure(configuration)
    except (RuntimeError, IndexError, ValueError) as error:
        raise CameraError(f"the Pi's camera can't be opened: {error}") from error
    return camera


def _unpadded(array: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Remove the row padding of an I420 picture: (.., stride) to (height * 3 / 2, width).

    Chroma rows are half as long, so each row of the array holds two of them, each with its padding.
    """
    stride = array.shape[1]
    if stride == width:
        return array
    luma = array[:height, :width]
    chroma = array[height : height * 3 // 2].reshape(height, stride // 2)[:, : width // 2]
    return np.concatenate([luma, chroma.reshape(height // 2, width)])


def _durations_us(fps: float) -> tuple[int, int]:
    """Return the minimum and maximum frame duration in microseconds; equal, for a fixed rate."""
    return round(1e6 / fps), round(1e6 / fps)


class _Calls:
    """Makes calls into picamera2 with a timeout, in a separate thread.

    If the camera is unplugged or hung, some calls never return. The thread is then abandoned, and
    the next call gets a new one.
    """

    def __init__(self) -> None:
        self._thread: CallThread | None = None

    def bounded(self, call: Callable[[], T], timeout_s: float, what: str) -> T:
        """Make `call` and return its result.

        Raises CameraError if it fails or takes longer than `timeout_s` seconds.
        """
        if self._thread is None:
            self._thread = CallThread("picamera")
        try:
            return self._thread.within(timeout_s, call)
        except CameraError:
            raise
        except OverdueError:
            self.end()
            raise CameraError(f"the Pi's camera did not {what} within {timeout_s:g} s") from None
        except Exception as fault:
            raise CameraError(f"the Pi's camera did not {what}: {fault}") from fault

    def end(self) -> None:
        """End the thread once its current call returns."""
        if self._thread is not None:
            self._thread.end()
            self._thread = None
