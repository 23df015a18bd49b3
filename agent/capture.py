"""Cameras: where frames come from. A Pi's own, a USB one, and a video file in place of one.

A camera is made once, and started and stopped for each session. It never queues: `read` gives the
newest frame; what nobody read in time is dropped and counted. Every wait has a bound: a camera that
hangs or is unplugged ends in a CameraError.
"""

import math
import os
import struct
import threading
import time
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.errors import CameraError
from agent.pace import Pace
from agent.picamera import OPEN_TIMEOUT_S, STOP_TIMEOUT_S, PiCamera
from agent.records import Frame

# What OpenCV and the FFmpeg inside it print on standard error, our own errors say better.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
_set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
_set_log_level(1)  # fatal errors alone; 4.14 has the function elsewhere than 4.11

Source = Literal["picamera2", "usb", "replay"]
Pixels = NDArray[np.uint8]

_USUAL_FPS = 30.0
"""Assumed of a video that names no believable rate."""
_CUT_S, _CUT_SHARE = 0.5, 0.05
"""A video breaks off when more than both are missing at its end: containers round their length, and
count a sound track that outlasts the pictures."""


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
    """A video file as a camera: any that OpenCV reads. Frames are BGR, their time the video's own.

    With `realtime` a frame comes when it is due, and those it is too late for are dropped and
    counted. With `loop` the video begins again at its end, while time goes on. With `fps` no more
    frames a second are given than that: at 15, every second one of a video of 30, none dropped.

    Raises CameraError for a file that is missing, empty, cut short or not a video, and, from
    `read`, for one that breaks off.
    """

    source = "replay"

    def __init__(
        self, path: Path, *, realtime: bool = False, loop: bool = False, fps: float = math.inf
    ) -> None:
        self._path = path
        self._asked_fps = fps
        self._realtime = realtime
        self._loop = loop
        self._video = self._opened()
        self._video.close()
        self.width, self.height = self._video.width, self._video.height
        self.frames_dropped = 0

    @property
    def fps(self) -> float:
        """Frames a second of the video, or as many as were asked for."""
        return min(self._video.fps, self._asked_fps)

    def check(self) -> None:
        """Is not unplugged."""

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
        if not self._advance():
            return None
        while self._realtime and self._late() and time.monotonic() < deadline_s:
            self.frames_dropped += 1
            if not self._advance():
                return None
        if self._realtime:
            self._wait_until_due(deadline_s)
        return Frame(self._loops_s + self._video.time_s, self._video.picture())

    def stop(self) -> None:
        """Close the file; `start` opens it again."""
        self._video.close()

    close = stop

    def _opened(self) -> "_Video":
        # In place of a camera it is small: FFmpeg keeps frames for each of its threads.
        return _Video(self._path, 1 if self._realtime else 0)

    def _advance(self) -> bool:
        """Go to the next frame that the pace takes; False at the end."""
        while self._next():
            if self._pace.takes(self._loops_s + self._video.time_s):
                return True
        return False

    def _next(self) -> bool:
        if self._video.advance():
            return True
        if not self._loop:
            return False
        self._loops_s += self._video.time_s + 1 / self._video.fps
        self._video.close()
        self._video = self._opened()
        return self._video.advance()

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


class _Video:
    """One pass over a video file, from its first frame to its last.

    `threads` decode it; 0 is one for each core.
    """

    def __init__(self, path: Path, threads: int) -> None:
        _check_file(path)
        self._path = path
        self._capture = cv2.VideoCapture(
            str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads]
        )
        if not self._capture.isOpened():
            raise CameraError(f"{path}: not a video that can be read")
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._expected = (count, count / fps) if fps > 0 and count > 0 else None
        self._nominal_fps = fps if 1 <= fps <= 240 else _USUAL_FPS
        self._frames = 0
        self.time_s = 0.0

    @property
    def fps(self) -> float:
        """The container's word for it, unless the frames came at another rate."""
        if self._frames < 2:
            return self._nominal_fps
        measured = (self._frames - 1) / self.time_s
        return self._nominal_fps if abs(self._nominal_fps / measured - 1) < 0.05 else measured

    def advance(self) -> bool:
        """Go to the next frame; False at the end. Raises CameraError where the video breaks off."""
        if not self._capture.grab():
            self._check_end()
            return False
        # Some containers keep no times, or none that grow: then each frame follows the last.
        time_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._frames and not (math.isfinite(time_s) and time_s > self.time_s):
            time_s = self.time_s + 1 / self._nominal_fps
        self.time_s = time_s if self._frames else 0.0
        self._frames += 1
        return True

    def picture(self) -> Pixels:
        """The current frame, uint8 (height, width, 3), BGR."""
        ok, pixels = self._capture.retrieve()
        if not ok:
            raise CameraError(f"{self._path}: frame {self._frames - 1} can't be decoded")
        return np.asarray(pixels, np.uint8)

    def close(self) -> None:
        self._capture.release()

    def _check_end(self) -> None:
        """Raises CameraError unless this is where the container says that the video ends."""
        found_s = self.time_s + 1 / self._nominal_fps if self._frames else 0.0
        frames, duration_s = self._expected or (1, found_s)
        if self._frames and duration_s - found_s <= max(_CUT_S, _CUT_SHARE * duration_s):
            return
        raise CameraError(
            f"{self._path}: the video breaks off: expected about {frames:.0f} frames"
            f" ({duration_s:.1f} s), found {self._frames} ({found_s:.1f} s)"
        )


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            claimed = _claimed_size(file, size)
    except OSError as error:
        raise CameraError(f"{path}: can't be read: {error.strerror}") from error
    if size == 0:
        raise CameraError(f"{path}: expected a video, found an empty file")
    if claimed > size:
        raise CameraError(
            f"{path}: the video is cut short: expected at least {claimed} bytes, found {size}"
        )


def _claimed_size(file: BinaryIO, size: int) -> int:
    """Where the last box of an MP4 or QuickTime file ends (ISO 14496-12, section 4.2); else `size`.

    A file that was cut has a box that ends beyond it; its index, which comes last, is then missing.
    """
    if file.read(8)[4:] != b"ftyp":
        return size
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(16)
        if len(header) < 8:
            return end + 8
        (length,) = struct.unpack(">I", header[:4])
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack(">Q", header[8:])
        if length < 8:  # 0 is "to the end of the file", the others are nonsense
            return size
        end += length
    return end


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
