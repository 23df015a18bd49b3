"""A Raspberry Pi's own camera, through picamera2, which only its constructor imports."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.errors import CameraError
from agent.records import Frame

OPEN_TIMEOUT_S = 15.0
"""A cold sensor takes seconds to begin, as USB cameras do; OpenCV gives up on these after ten."""

GRACE_S = 1.0
"""picamera2 bounds its own waits; beyond that it hangs in a call that has no bound."""

WILD_S = 3600.0
"""A longer gap is no frames, but a time that can't be true: whoever takes the frame will say so."""

STOP_TIMEOUT_S = 5.0
"""A healthy camera stops within a few frames; one that was unplugged never does."""


T = TypeVar("T")
_Work = queue.SimpleQueue[Callable[[], None] | None]


class PiCamera:
    """A Pi's camera through picamera2. Frames are I420; their time is the sensor's, monotonic.

    `frames_dropped` counts the gaps in the sensor's own times: the frame rate is fixed.
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
        # What libcamera made of the wish: it rounds sizes to what the hardware can do.
        self.width, self.height = self._camera.camera_configuration()["lores"]["size"]

    def check(self) -> None:
        """Can't be told: its ribbon is plugged with the power off."""

    def start(self) -> None:
        """Begin to give frames. Raises CameraError."""
        self._last_s = None
        self.frames_dropped = 0
        self._calls.bounded(self._start, OPEN_TIMEOUT_S, "start")

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame. Raises CameraError."""
        try:
            frame = self._calls.bounded(
                lambda: self._request(timeout_s), timeout_s + GRACE_S, "give a frame"
            )
        except CameraError as error:
            if not isinstance(error.__cause__, TimeoutError):
                raise
            # What waits in picamera2 for a frame that never comes keeps `stop` waiting behind it.
            self._calls.bounded(self._camera.cancel_all_and_flush, STOP_TIMEOUT_S, "give up")
            raise CameraError(f"the Pi's camera: no frame within {timeout_s:g} s") from error
        if self._last_s is not None:
            gap_s = frame.time_s - self._last_s
            if gap_s <= WILD_S:
                self.frames_dropped += max(0, round(gap_s / self._period_s) - 1)
        self._last_s = frame.time_s
        return frame

    def stop(self) -> None:
        """Stop giving frames. Raises CameraError where picamera2 would wait for ever."""
        self._calls.bounded(self._camera.stop, STOP_TIMEOUT_S, "stop")

    def close(self) -> None:
        """Let go of the camera."""
        try:
            self._calls.bounded(self._camera.close, STOP_TIMEOUT_S, "close")
        finally:
            self._calls.end()

    def _start(self) -> None:
        # Said at each start: picamera2 forgets a configuration's controls with the first.
        self._camera.set_controls({"FrameDurationLimits": _durations_us(1 / self._period_s)})
        self._camera.start()

    def _request(self, timeout_s: float) -> Frame:
        """Picture and time of one request: they belong together."""
        # Without `wait` a camera that timed out inside libcamera is waited for for ever.
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
            "source 'picamera2': expected the system's package python3-picamera2 and an"
            f" environment that sees it, found none ({error})"
        ) from error
    try:
        camera = Picamera2()
        # The small second stream is what is measured. There has to be a main one: twice the size
        # makes libcamera choose a sensor mode with a wide view instead of a cropped one.
        twice = 2 if width <= 800 else 1
        configuration = camera.create_video_configuration(
            main={"size": (twice * width, twice * height), "format": "YUV420"},
            lores={"size": (width, height), "format": "YUV420"},
            controls={"FrameDurationLimits": _durations_us(fps)},
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


def _durations_us(fps: float) -> tuple[int, int]:
    """The shortest and the longest time for a frame, in microseconds: a fixed rate."""
    return round(1e6 / fps), round(1e6 / fps)


class _Calls:
    """Calls into picamera2, made by a thread of their own: with the camera unplugged or hung some
    never return. A thread that hangs is left behind, and the next call gets another."""

    def __init__(self) -> None:
        self._work: _Work | None = None

    def bounded(self, call: Callable[[], T], timeout_s: float, what: str) -> T:
        """What it returns. Raises CameraError if it fails, or not within `timeout_s` seconds."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except Exception as error:  # told to the caller below, whatever it is
                future.set_exception(error)

        self._thread().put(run)
        try:
            return future.result(timeout_s)
        except Exception as fault:
            if isinstance(fault, CameraError):
                raise
            if future.done():
                raise CameraError(f"the Pi's camera did not {what}: {fault}") from fault
            self.end()
            raise CameraError(f"the Pi's camera did not {what} within {timeout_s:g} s") from None

    def end(self) -> None:
        """Ends the thread as soon as it returns."""
        if self._work is not None:
            self._work.put(None)
            self._work = None

    def _thread(self) -> _Work:
        if self._work is None:
            work: _Work = queue.SimpleQueue()
            self._work = work
            threading.Thread(
                target=lambda: [call() for call in iter(work.get, None)],
                name="picamera",
                daemon=True,
            ).start()
        return self._work
