"""Cameras: where frames come from. A Pi's own, a USB one, and a video file in place of one.

A camera is made once, and started and stopped for each session. It never queues: `read` gives the
newest frame; what nobody read in time is dropped and counted. Every wait has a bound: a camera that
hangs or is unplugged ends in a CameraError.
"""

import logging
import math
import threading
import time
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from agent.camera.pace import Pace
from agent.camera.pi import OPEN_TIMEOUT_S, STOP_TIMEOUT_S, PiCamera
from agent.camera.video_file import VideoFile
from agent.errors import CameraError
from agent.records import Frame

log = logging.getLogger(__name__)

Source = Literal["picamera2", "usb", "replay"]


class Camera(Protocol):
    """Gives frames, one at a time; `frames_dropped` counts those lost since `start`."""

    source: str
    width: int
    height: int
    frames_dropped: int

    def check(self) -> None:
        """Raises CameraError where it can be seen, without starting, that it has been unplugged."""

    def start(self) -> None:
        """Begin to give frames. Raises CameraError."""

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame not yet read, or None when a video has ended.

        Raises CameraError after `timeout_s` seconds without a frame, and for any fault.
        """

    def stop(self) -> None:
        """End what `start` began. Raises CameraError if the camera does not let go in time."""

    def close(self) -> None:
        """Let go of the device or file for good."""


def open_camera(
    source: Source,
    *,
    device: str = "/dev/video0",
    file: Path | None = None,
    loop: bool = False,
    width: int = 640,
    height: int = 480,
    fps: float = 30.0,
) -> Camera:
    """The camera that `source` names; a replayed file is paced like one. Raises CameraError."""
    if source == "picamera2":
        return PiCamera(width, height, fps)
    if source == "usb":
        return UsbCamera(device, width, height, fps)
    if file is None:
        raise CameraError("source 'replay': expected a video file, found none")
    return ReplayCamera(file, realtime=True, loop=loop, fps=fps)


class ReplayCamera:
    """A video file as a camera: any that OpenCV reads. Frames are BGR, at the video's own times.

    With `realtime` a frame comes when it is due, and those that it is too late for are dropped and
    counted. With `loop` the video begins again at its end, while time goes on. With `fps` no more
    frames a second are given than that: at 15, every second one of a video of 30, none dropped.
    `rate` is the number of pictures a second of a bare stream, which has no times of its own.

    A picture that can't be decoded is a dropped frame. A file that ends early is read as far as it
    goes; `ends_early` then says what is missing.

    Raises CameraError for a file that is missing, empty or no video, and where `rate` is missing or
    not wanted; from `read`, where no picture can be decoded or times don't go on.
    """

    source = "replay"

    def __init__(
        self,
        path: Path,
        *,
        realtime: bool = False,
        loop: bool = False,
        fps: float = math.inf,
        rate: float | None = None,
    ) -> None:
        self._path = path
        self._asked_fps = fps
        self._realtime = realtime
        self._loop = loop
        self._rate = rate
        self._video = self._opened()
        self._video.close()
        self.width, self.height = self._video.width, self._video.height
        self.frames_dropped = 0

    @property
    def fps(self) -> float:
        """Frames a second of the video, or as many as were asked for."""
        return min(self._video.fps, self._asked_fps)

    @property
    def ends_early(self) -> str | None:
        """What is missing at the end of the video, once that was reached; None if nothing is."""
        return self._video.ends_early

    def check(self) -> None:
        """Do nothing: a file can't be unplugged."""

    def start(self) -> None:
        """Begin at the first frame."""
        self._video.close()
        self._video = self._opened()
        self._pace = Pace(self._asked_fps)
        self._loops_s = 0.0
        self._began_s: float | None = None
        self.frames_dropped = 0

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame, or None after the last; in `realtime`, the frame that is due."""
        deadline_s = time.monotonic() + timeout_s
        while self._advance():
            late = self._realtime and self._late() and time.monotonic() < deadline_s
            if not late and self._realtime:
                self._wait_until_due(deadline_s)
            pixels = None if late else self._video.picture()
            if pixels is not None:
                return Frame(self._loops_s + self._video.time_s, pixels)
            self.frames_dropped += 1
        return None

    def stop(self) -> None:
        """Close the file; `start` opens it again."""
        self._video.close()

    close = stop

    def _opened(self) -> VideoFile:
        # In place of a camera it is small: FFmpeg keeps frames for each of its threads.
        return VideoFile(self._path, 1 if self._realtime else 0, self._rate)

    def _advance(self) -> bool:
        """Go to the next frame that the pace takes; False at the end."""
        while self._next():
            if self._pace.takes(self._loops_s + self._video.time_s):
                return True
        return False

    def _next(self) -> bool:
        if self._advanced():
            return True
        if self._realtime and self._video.ends_early:
            log.warning("%s ends early: %s", self._path, self._video.ends_early)
        if not self._loop:
            return False
        self._loops_s += self._video.time_s + 1 / self._video.fps
        self._video.close()
        self._video = self._opened()
        return self._advanced()

    def _advanced(self) -> bool:
        advanced = self._video.advance()
        self.frames_dropped += self._video.skipped
        return advanced

    def _due_s(self) -> float:
        """When the frame is due, on the monotonic clock: the first one is at once."""
        time_s = self._loops_s + self._video.time_s
        if self._began_s is None:
            self._began_s = time.monotonic() - time_s
        return self._began_s + time_s

    def _late(self) -> bool:
        """Whether the next frame is due already."""
        return time.monotonic() > self._due_s() + 1 / self.fps

    def _wait_until_due(self, deadline_s: float) -> None:
        due_s = self._due_s()
        time.sleep(max(0.0, min(due_s, deadline_s) - time.monotonic()))
        if due_s > deadline_s:
            raise CameraError(f"{self._path}: no frame in time, the next one is due later")


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
