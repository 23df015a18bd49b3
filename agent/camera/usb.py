"""A USB camera, through V4L2 and OpenCV."""

import logging
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from agent.camera.pace import Pace
from agent.camera.pi import OPEN_TIMEOUT_S, STOP_TIMEOUT_S
from agent.camera.pictures import Pictures, Pixels
from agent.errors import CameraError
from agent.records import Frame

log = logging.getLogger(__name__)

UNPLUGGED = "the camera has been unplugged"


class UsbCamera:
    """A V4L2 camera. Frames are BGR, with the kernel's monotonic timestamps.

    OpenCV's reads can block for a long time. A separate thread therefore reads, and keeps only the
    newest frame; `frames_dropped` counts frames that were replaced unread or can't be read, such as
    an empty Motion JPEG buffer. It is a fault only if no frame can be read within the timeout of
    `read`. Some drivers deliver more frames than requested: those beyond `fps` are skipped.
    """

    source = "usb"

    def __init__(self, device: str, width: int, height: int, fps: float) -> None:
        self._device = device
        self._fps = fps
        self.width, self.height = width, height
        self.frames_dropped = 0
        self._pictures = Pictures()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Raise CameraError if the device file is missing, as after unplugging the camera."""
        if not Path(self._device).exists():
            raise CameraError(f"{self._device}: {UNPLUGGED}")

    def start(self) -> None:
        """Open the device and start reading. Raises CameraError if it does not open in time."""
        self._frame: Frame | None = None
        self._unreadable = 0  # in a row
        self._fault: str | None = None
        self._streaming = False
        self._stopping = threading.Event()
        self.frames_dropped = 0
        self._thread = threading.Thread(target=self._run, name="usb-camera", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._streaming or self._fault, OPEN_TIMEOUT_S)
            if not self._streaming:
                self._stopping.set()
                raise CameraError(f"{self._device}: {self._fault or 'did not open in time'}")

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest unread frame. Raises CameraError."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame or self._fault, timeout_s)
            frame, self._frame = self._frame, None
            if frame is None:
                raise CameraError(f"{self._device}: {self._fault or self._overdue(timeout_s)}")
            return frame

    def _overdue(self, timeout_s: float) -> str:
        tried = f": {self._unreadable} in a row can't be read" if self._unreadable else ""
        return f"no frame within {timeout_s:g} s{tried}"

    def stop(self) -> None:
        """Stop reading and release the device."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            raise CameraError(f"{self._device}: did not stop within {STOP_TIMEOUT_S:g} s")
        self._thread = None

    close = stop

    def _run(self) -> None:
        """Read frames in the thread until the camera is stopped. `read` reports any failure."""
        capture = cv2.VideoCapture(self._device, cv2.CAP_V4L2)
        try:
            self._read_all(capture)
        except CameraError as error:
            self._publish(fault=str(error))
        except cv2.error as error:
            log.debug("%s: %s", self._device, error)  # an assertion about OpenCV's own code
            self._publish(fault="can't be used as a V4L2 camera")
        finally:
            capture.release()

    def _read_all(self, capture: cv2.VideoCapture) -> None:
        if not capture.isOpened():
            raise CameraError("can't be opened as a V4L2 camera")
        self._configure(capture)
        pace = Pace(self._fps)
        while not self._stopping.is_set():
            pixels = self._next(capture)
            if pixels is None:
                self._skip()
                continue
            time_s = _kernel_time_s(capture)
            if pace.takes(time_s):
                self._publish(Frame(time_s, pixels))

    def _next(self, capture: cv2.VideoCapture) -> Pixels | None:
        """Wait for a frame and return its pixels, or None if it can't be read."""
        begun_s = time.monotonic()
        try:
            read, found = capture.read(self._pictures.free())
        except cv2.error as error:  # an empty buffer, for example
            log.debug("%s: %s", self._device, error)
            read, found = False, None
        if read:
            self._unreadable = 0
            pixels = np.asarray(found, np.uint8)
            self._pictures.keep(pixels)
            return pixels
        # A device that fails at once is asked no more often than frames are due.
        self._stopping.wait(max(0.0, 1 / self._fps - (time.monotonic() - begun_s)))
        return None

    def _skip(self) -> None:
        """Count a frame that can't be read. Raises CameraError if the camera has been unplugged."""
        if not Path(self._device).exists():
            raise CameraError(UNPLUGGED)
        with self._changed:
            self.frames_dropped += 1
            self._unreadable += 1

    def _configure(self, capture: cv2.VideoCapture) -> None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.height)
        capture.set(cv2.CAP_PROP_FPS, self._fps)
        self.width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        with self._changed:
            self._streaming = True
            self._changed.notify_all()

    def _publish(self, frame: Frame | None = None, fault: str | None = None) -> None:
        with self._changed:
            if frame is not None:
                self.frames_dropped += self._frame is not None
                self._frame = frame
            self._fault = fault
            self._changed.notify_all()


def _kernel_time_s(capture: cv2.VideoCapture) -> float:
    """Return when the buffer was filled, if the driver gives a monotonic timestamp; else now."""
    now_s = time.monotonic()
    stamped_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    return stamped_s if now_s - 1.0 < stamped_s <= now_s else now_s
