"""A video file as a camera."""

import logging
import math
import time
from pathlib import Path

from agent.camera.pace import Pace
from agent.camera.video_file import VideoFile
from agent.errors import CameraError
from agent.records import Frame

log = logging.getLogger(__name__)


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
