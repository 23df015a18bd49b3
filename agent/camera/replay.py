"""A video file in place of a camera."""

import logging
import math
import time
from pathlib import Path

from agent.camera.pace import Pace
from agent.camera.pictures import Pictures
from agent.camera.video_file import VideoFile
from agent.errors import CameraError
from agent.records import Frame

log = logging.getLogger(__name__)


class ReplayCamera:
    """A camera that plays a video file, in any format that OpenCV reads.

    Frames are BGR and keep the video's timestamps.

    With `realtime` each frame is returned when it is due; frames that are already late are dropped
    and counted. With `loop` the video starts again at its end, while time goes on. `fps` limits the
    frame rate: at 15, every second frame of a 30 fps video is returned, and none count as dropped.
    `rate` is the frame rate of a raw stream, which has no timestamps.

    A frame that can't be decoded counts as dropped. A truncated file is read as far as possible;
    `ends_early` then says what is missing.

    Raises CameraError if the file is missing, empty or not a video, if `rate` is missing for a raw
    stream, or if it is given for a file with timestamps. `read` raises it if no frame can be
    decoded or the timestamps don't increase.
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
        self._max_fps = fps
        self._realtime = realtime
        self._loop = loop
        self._rate = rate
        self._pictures = Pictures()
        self._video = self._open()
        self._video.close()
        self.width, self.height = self._video.width, self._video.height
        self.frames_dropped = 0

    @property
    def fps(self) -> float:
        """The video's frame rate, or the requested one if that is lower."""
        return min(self._video.fps, self._max_fps)

    @property
    def ends_early(self) -> str | None:
        """What is missing at the end of the video, once that is reached; None if complete."""
        return self._video.ends_early

    def check(self) -> None:
        """Do nothing: a file can't be unplugged."""

    def start(self) -> None:
        """Open the video at its first frame."""
        self._video.close()
        self._video = self._open()
        self._pace = Pace(self._max_fps)
        self._loops_s = 0.0
        self._began_s: float | None = None
        self.frames_dropped = 0

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, or with `realtime` the frame that is due; None after the last."""
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
        """Close the file. `start` opens it again."""
        self._video.close()

    close = stop

    def _open(self) -> VideoFile:
        # One thread in real time saves memory: FFmpeg buffers frames for each of its threads.
        threads = 1 if self._realtime else 0
        return VideoFile(self._path, threads, self._rate, self._pictures)

    def _advance(self) -> bool:
        """Advance to the next frame to return. Return False at the end."""
        while self._next():
            if self._pace.takes(self._loops_s + self._video.time_s):
                return True
        return False

    def _next(self) -> bool:
        if self._advance_file():
            return True
        if self._realtime and self._video.ends_early:
            log.warning("%s ends early: %s", self._path, self._video.ends_early)
        if not self._loop:
            return False
        self._loops_s += self._video.time_s + 1 / self._video.fps
        self._video.close()
        self._video = self._open()
        return self._advance_file()

    def _advance_file(self) -> bool:
        advanced = self._video.advance()
        self.frames_dropped += self._video.skipped
        return advanced

    def _due_s(self) -> float:
        """Return when the frame is due, on the monotonic clock. The first frame is due at once."""
        time_s = self._loops_s + self._video.time_s
        if self._began_s is None:
            self._began_s = time.monotonic() - time_s
        return self._began_s + time_s

    def _late(self) -> bool:
        """Return whether the frame after this one is due already."""
        return time.monotonic() > self._due_s() + 1 / self.fps

    def _wait_until_due(self, deadline_s: float) -> None:
        due_s = self._due_s()
        time.sleep(max(0.0, min(due_s, deadline_s) - time.monotonic()))
        if due_s > deadline_s:
            raise CameraError(f"{self._path}: no frame in time: the next one is due later")
