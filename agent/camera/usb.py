"""A USB camera: V4L2, through OpenCV."""

import threading
import time
from pathlib import Path

import cv2
import numpy as np

from agent.camera.pace import Pace
from agent.camera.pi import OPEN_TIMEOUT_S, STOP_TIMEOUT_S
from agent.errors import CameraError
from agent.records import Frame


class UsbCamera:
    """A V4L2 camera through OpenCV. Frames are BGR; their time is the kernel's, monotonic.

    OpenCV's reads can block for long, so they happen in a thread of their own, which keeps the
    newest frame; `frames_dropped` counts those that were replaced unread. A driver may give more
    frames than it was asked for: what is beyond `fps` is left out.
    """

    source = "usb"

    def __init__(self, device: str, width: int, height: int, fps: float) -> None:
        self._device = device
        self._fps = fps
        self.width, self.height = width, height
        self.frames_dropped = 0
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Raises CameraError where the device's file is gone, as an unplugged camera's is."""
        if not Path(self._device).exists():
            raise CameraError(f"{self._device}: the camera has been unplugged")

    def start(self) -> None:
        """Open the device and begin to read. Raises CameraError when it does not open in time."""
        self._frame: Frame | None = None
        self._fault: str | None = None
        self._streaming = False
        self._stopping = threading.Event()
        self.frames_dropped = 0
        self._thread = threading.Thread(target=self._run, name="usb-camera", daemon=True)
        self._thread.start()
        with self._news:
            self._news.wait_for(lambda: self._streaming or self._fault, OPEN_TIMEOUT_S)
            if not self._streaming:
                self._stopping.set()
                raise CameraError(f"{self._device}: {self._fault or 'did not open in time'}")

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame not yet read. Raises CameraError."""
        with self._news:
            self._news.wait_for(lambda: self._frame or self._fault, timeout_s)
            frame, self._frame = self._frame, None
            if frame is None:
                raise CameraError(
                    f"{self._device}: {self._fault or f'no frame within {timeout_s:g} s'}"
                )
            return frame

    def stop(self) -> None:
        """Stop reading and let go of the device."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            raise CameraError(f"{self._device}: did not stop within {STOP_TIMEOUT_S:g} s")
        self._thread = None

    close = stop

    def _run(self) -> None:
        """The reading thread. Any failure is a fault that `read` reports; it never tries again."""
        capture = cv2.VideoCapture(self._device, cv2.CAP_V4L2)
        try:
            self._read_all(capture)
        except (cv2.error, CameraError) as error:
            self._announce(fault=str(error))
        finally:
            capture.release()

    def _read_all(self, capture: cv2.VideoCapture) -> None:
        if not capture.isOpened():
            raise CameraError("can't be opened as a V4L2 camera")
        self._configure(capture)
        pace = Pace(self._fps)
        while not self._stopping.is_set():
            ok, pixels = capture.read()
            if not ok:
                raise CameraError("stopped giving frames")
            time_s = _kernel_time_s(capture)
            if pace.takes(time_s):
                self._announce(Frame(time_s, np.asarray(pixels, np.uint8)))

    def _configure(self, capture: cv2.VideoCapture) -> None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.height)
        capture.set(cv2.CAP_PROP_FPS, self._fps)
        self.width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        with self._news:
            self._streaming = True
            self._news.notify_all()

    def _announce(self, frame: Frame | None = None, fault: str | None = None) -> None:
        with self._news:
            if frame is not None:
                self.frames_dropped += self._frame is not None
                self._frame = frame
            self._fault = fault
            self._news.notify_all()


def _kernel_time_s(capture: cv2.VideoCapture) -> float:
    """When the buffer was filled, if the driver says so on the monotonic clock; else now."""
    now_s = time.monotonic()
    stamped_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    return stamped_s if now_s - 1.0 < stamped_s <= now_s else now_s
