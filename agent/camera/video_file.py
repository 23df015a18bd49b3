"""One pass over a video file, frame by frame, with the timestamps of the file.

Only the timestamps of the frames themselves are trusted, not the counts in headers (see
`containers`). A frame that can't be decoded, or has no timestamp, is skipped and counted. A raw
stream (`.h264`, `.mjpeg`) has no timestamps: its frame rate must be given.
"""

import math
import os
from pathlib import Path

import cv2
import numpy as np

from agent.camera.containers import read_facts
from agent.camera.pictures import Pictures, Pixels
from agent.camera.video_name import ffmpeg_name
from agent.errors import CameraError

# Silence OpenCV and its FFmpeg on standard error: this module's errors are clearer.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
_set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
_set_log_level(1)  # fatal errors only; the function moved between OpenCV 4.11 and 4.14

_USUAL_FPS = 30.0
"""Frame rate to assume, until frames show the real one, if the container names no plausible
rate."""

_TRIES, _MOST_TRIES = 300, 100_000
"""How often to retry a failed read. OpenCV reports the end of a file and a frame that it can't
decode in the same way. 300 retries skip 10 s of such frames and take 10 ms at the end of a file;
there are more if the header promises more frames."""

_DAY_S = 24 * 3600.0
"""Upper limit for a believable length. Writers that never fill it in leave 2**30 frames."""

_UNTIMED = 100
"""More frames in a row without a timestamp than any codec reorders: none after them will have
one."""

_QUIRK_S = 1.0
"""OpenCV reports a first frame at time 0 with its decoding time, a few frames below 0."""

_EARLY_S = 0.5
"""Tolerance at the end: containers round their lengths, and the last frame may never be shown."""


class VideoFile:
    """An open video file, before its first frame.

    `threads` is the number of decoder threads; 0 means one per core. `rate` is the frame rate of a
    raw stream, None for a file with timestamps. `width` and `height` are in pixels.

    Raises CameraError if the file is missing, empty or not a video, for a raw stream without a
    rate, and for a rate given for a file with timestamps.

    `pictures` holds arrays that were used for the frames of the same file before.
    """

    def __init__(
        self,
        path: Path,
        threads: int,
        rate: float | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self._path = path
        self._pictures = pictures or Pictures()
        self._rate = rate
        self._facts = read_facts(path)
        self._capture = self._open(threads)
        self._check_rate()
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = rate or self._capture.get(cv2.CAP_PROP_FPS)
        """The frame rate named by the container, or the measured one if that differs."""
        self._nominal_fps = fps if 1 <= fps <= 240 else _USUAL_FPS
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._frame_count = count if count < _DAY_S * self._nominal_fps else 0
        self._index = -1  # of the frame in the file, including frames that can't be decoded
        self._frames = 0
        self._untimed = 0  # frames since the last one with a timestamp
        self._origin_s = 0.0
        self.time_s = 0.0
        self.skipped = 0
        self.ends_early: str | None = None

    @property
    def fps(self) -> float:
        """The rate that the container names, unless the pictures come at another one."""
        if self._frames < 2:
            return self._nominal_fps
        measured = (self._frames - 1) / self.time_s
        return self._nominal_fps if abs(self._nominal_fps / measured - 1) < 0.05 else measured

    def advance(self) -> bool:
        """Advance to the next frame. `time_s` is then its time after the first frame, in seconds.

        `skipped` is the number of frames skipped on the way, because they can't be decoded or have
        no timestamp. Returns False at the end; `ends_early` then says what is missing, if anything.
        Raises CameraError if no frame can be decoded or most have no timestamp.
        """
        self.skipped = failed = 0
        while failed < self._tries() and not self._times_stopped:
            if not self._capture.grab():
                failed += 1
                continue
            self._index += failed + 1
            self.skipped += failed
            failed = 0
            if self._take_time():
                return True
            self.skipped += 1
        self._end()
        return False

    def picture(self) -> Pixels | None:
        """Return the current frame, uint8 (height, width, 3), BGR; None if it can't be decoded."""
        ok, found = self._capture.retrieve(self._pictures.free())
        if not ok:
            return None
        pixels = np.asarray(found, np.uint8)
        self._pictures.keep(pixels)
        return pixels

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _open(self, threads: int) -> cv2.VideoCapture:
        name, facts = ffmpeg_name(self._path), self._facts
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
        if capture.isOpened():
            return capture
        if facts.claimed > facts.size:
            raise CameraError(
                f"{self._path}: the video is truncated: expected at least {facts.claimed} bytes,"
                f" found {facts.size}; it can't be read without its end"
            )
        raise CameraError(f"{self._path}: not a video that OpenCV can read")

    def _check_rate(self) -> None:
        raw, rate = self._facts.kind is None, self._rate
        if raw and rate is None:
            raise CameraError(
                f"{self._path}: expected a video with timestamps, found a raw stream: give its"
                " frame rate (blink-agent replay --fps N)"
            )
        if rate is None:
            return
        if not raw:
            raise CameraError(f"{self._path}: this video has timestamps: leave out --fps")
        if not (math.isfinite(rate) and rate > 0):
            raise CameraError(f"expected a positive frame rate, found {rate:g}")

    def _tries(self) -> int:
        return int(max(_TRIES, min(self._frame_count - self._index, _MOST_TRIES)))

    def _take_time(self) -> bool:
        """Read the frame's timestamp. Return whether it is later than the last one."""
        position_s = self._position_s()
        if not self._frames and math.isfinite(position_s):
            self._origin_s = 0.0 if -_QUIRK_S < position_s <= 0 else position_s
        time_s = position_s - self._origin_s if self._frames else 0.0
        if not math.isfinite(position_s) or (self._frames and time_s <= self.time_s):
            self._untimed += 1
            return False
        self.time_s = time_s
        self._frames += 1
        self._untimed = 0
        return True

    def _position_s(self) -> float:
        if self._rate is not None:
            return self._index / self._rate
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000

    @property
    def _times_stopped(self) -> bool:
        return self._untimed > _UNTIMED

    def _end(self) -> None:
        """Set `ends_early`. Raises CameraError if there is nothing to measure."""
        if not self._frames:
            raise CameraError(f"{self._path}: no frame in it can be decoded")
        if self._untimed > self._frames:
            raise CameraError(
                f"{self._path}: expected increasing timestamps, found none after"
                f" {self.time_s:.2f} s"
            )
        if self._times_stopped:  # these frames are reported as missing, not as skipped
            self.skipped = 0
        missing = self._missing()
        self.ends_early = missing and f"{missing}; its last frame is at {self.time_s:.2f} s"

    def _missing(self) -> str | None:
        facts, last_s = self._facts, self._origin_s + self.time_s
        if self._times_stopped:
            return "its timestamps jump back: the frames after that are not measured"
        if facts.claimed > facts.size:
            return f"truncated: expected at least {facts.claimed} bytes, found {facts.size}"
        if facts.broken_at is not None:
            return f"damaged: unreadable from byte {facts.broken_at} of {facts.size}"
        if facts.last_picture_s is not None and facts.last_picture_s - last_s > _EARLY_S:
            return f"frames are missing: expected frames until {facts.last_picture_s:.2f} s"
        return None
