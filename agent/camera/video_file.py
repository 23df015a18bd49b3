"""One pass over a video file, picture by picture, at the times that the file itself gives.

The only times and lengths believed are those of the pictures themselves: header counts are not
(see `containers`). A picture that can't be decoded, or has no time of its own, is skipped and
counted. A bare stream of pictures (`.h264`, `.mjpeg`) has no times: its rate has to be given.
"""

import math
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.camera.containers import read_facts
from agent.camera.video_name import ffmpeg_name
from agent.errors import CameraError

# Our own errors say better what OpenCV and the FFmpeg inside it print on standard error.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
_set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
_set_log_level(1)  # fatal errors only; 4.14 has the function elsewhere than 4.11

Pixels = NDArray[np.uint8]

_USUAL_FPS = 30.0
"""Of a container that names no believable rate, until pictures have shown theirs."""

_TRIES, _MOST_TRIES = 300, 100_000
"""OpenCV says the same at the end of a file and at a picture that it can't decode. Asking again
that often passes over 10 s of such pictures, or as many as the header still promises; at the end of
a file, 300 tries take 10 ms."""

_DAY_S = 24 * 3600.0
"""Writers that never came back to fill in a length leave 2**30 pictures: more than this is none."""

_UNTIMED = 100
"""More pictures in a row than any codec reorders: none after them will have a time either."""

_QUIRK_S = 1.0
"""OpenCV gives a first picture of time 0 its decoding time, a few frames below 0."""

_EARLY_S = 0.5
"""Containers round their lengths, and their last picture may be one that is never shown."""


class VideoFile:
    """A video file, open at its beginning.

    `threads` decode it; 0 is one for each core. `rate` is the number of pictures a second of a bare
    stream, None for a file with times. `width` and `height` are in pixels.

    Raises CameraError for a file that is missing, empty or no video, for a bare stream without a
    rate, and for a rate given to a file that has times.
    """

    def __init__(self, path: Path, threads: int, rate: float | None = None) -> None:
        self._path = path
        self._rate = rate
        self._facts = read_facts(path)
        self._capture = self._opened(threads)
        self._check_rate()
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = rate or self._capture.get(cv2.CAP_PROP_FPS)
        self._nominal_fps = fps if 1 <= fps <= 240 else _USUAL_FPS
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._promised = count if count < _DAY_S * self._nominal_fps else 0
        self._index = -1  # of the picture in the file, those that can't be decoded included
        self._frames = 0
        self._untimed = 0  # since the last picture with a time
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
        """Go to the next picture: `time_s` is its time after the first, in seconds.

        `skipped` is the number of pictures since the one before that can't be decoded or have no
        time. Returns False at the end; `ends_early` then says what is missing, if anything is.
        Raises CameraError where no picture can be decoded, or most have no time.
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
        """The current picture, uint8 (height, width, 3), BGR; None if it can't be decoded."""
        ok, pixels = self._capture.retrieve()
        return np.asarray(pixels, np.uint8) if ok else None

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _opened(self, threads: int) -> cv2.VideoCapture:
        name, facts = ffmpeg_name(self._path), self._facts
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
        if capture.isOpened():
            return capture
        if facts.claimed > facts.size:
            raise CameraError(
                f"{self._path}: the video is cut short: expected at least {facts.claimed} bytes,"
                f" found {facts.size}; without its end it can't be read"
            )
        raise CameraError(f"{self._path}: not a video that can be read")

    def _check_rate(self) -> None:
        bare, rate = self._facts.kind is None, self._rate
        if bare and rate is None:
            raise CameraError(
                f"{self._path}: expected a video with times, found a bare stream of pictures:"
                " say how many there are a second (blink-agent replay --fps N)"
            )
        if rate is None:
            return
        if not bare:
            raise CameraError(f"{self._path}: this video has times of its own: leave out --fps")
        if not (math.isfinite(rate) and rate > 0):
            raise CameraError(f"expected a positive frame rate, found {rate:g}")

    def _tries(self) -> int:
        return int(max(_TRIES, min(self._promised - self._index, _MOST_TRIES)))

    def _take_time(self) -> bool:
        """Whether the picture that was grabbed has a time after the last one's."""
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
        """Say what is missing. Raises CameraError where nothing is left to measure."""
        if not self._frames:
            raise CameraError(f"{self._path}: no picture in it can be decoded")
        if self._untimed > self._frames:
            raise CameraError(
                f"{self._path}: expected a later time for each picture, found none after"
                f" {self.time_s:.2f} s"
            )
        if self._times_stopped:  # all of these belong to what is missing
            self.skipped = 0
        missing = self._missing()
        self.ends_early = missing and f"{missing}; its last picture is at {self.time_s:.2f} s"

    def _missing(self) -> str | None:
        facts, last_s = self._facts, self._origin_s + self.time_s
        if self._times_stopped:
            return "its times jump back: the pictures after that are not measured"
        if facts.claimed > facts.size:
            return f"cut short: expected at least {facts.claimed} bytes, found {facts.size}"
        if facts.broken_at is not None:
            return f"damaged: unreadable from byte {facts.broken_at} of {facts.size} on"
        if facts.last_picture_s is not None and facts.last_picture_s - last_s > _EARLY_S:
            return f"pictures are missing: expected them until {facts.last_picture_s:.2f} s"
        return None
