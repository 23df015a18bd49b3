"""The pictures requested of a recording. Each is written completely or not at all."""

import importlib.util
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agent.camera.replay import ReplayCamera
from agent.errors import AgentError
from agent.files import atomic_file
from agent.measure.recording import Tracker
from agent.offline.evidence import Evidence
from agent.offline.overlay import Lids, write_overlay
from agent.offline.replay import frames_of
from agent.records import FaceLandmarks, Frame


class LidRecorder:
    """A tracker that records the lids it found, one entry per frame: 300 bytes, 30 MB per hour."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.lids: list[Lids | None] = []

    def find(self, frame: Frame, irises_below: float = math.inf) -> FaceLandmarks | None:
        """Return what the tracker finds."""
        face = self._tracker.find(frame, irises_below)
        self.lids.append(None if face is None else face.lids)
        return face

    def reset(self) -> None:
        """Forget the face, and the lids."""
        self._tracker.reset()
        self.lids.clear()


class Pictures:
    """Draws the plot of a recording to `plot` and its video to `overlay`; either may be None."""

    def __init__(self, title: str, plot: Path | None, overlay: Path | None) -> None:
        self._title = title
        self._plot = plot
        self._overlay = overlay
        self._lids: LidRecorder | None = None

    def watching(self, tracker: Tracker) -> Tracker:
        """Return the tracker to measure with: it records the lids if an overlay is requested."""
        if self._overlay is None:
            return tracker
        self._lids = LidRecorder(tracker)
        return self._lids

    def draw(self, evidence: Evidence, video: ReplayCamera | None = None) -> None:
        """Draw the requested pictures. Raises OSError or AgentError if they can't be written."""
        if self._plot is not None:
            from agent.offline.plot import write_plot  # with matplotlib, which a device hasn't

            write_plot(self._plot, evidence, self._title)
        if self._overlay is not None and self._lids is not None and video is not None:
            frames = frames_of(video)
            write_overlay(self._overlay, frames, video.fps, evidence, self._lids.lids)


@contextmanager
def pictures(source: Path, plot: Path | None, overlay: Path | None = None) -> Iterator[Pictures]:
    """Make pictures of the recording in the file `source`.

    They appear when the block ends without an error. Raises AgentError at once if one of them can't
    be written or matplotlib is missing, and later if writing fails.
    """
    if plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise AgentError(
            "--plot: expected matplotlib, which is not installed: pip install 'blinklog[desk]'"
        )
    with ExitStack() as stack:
        new_plot, new_overlay = (
            path and stack.enter_context(atomic_file(path, suffix, source=source))
            for path, suffix in ((plot, ".png"), (overlay, ".mp4"))
        )
        yield Pictures(source.name, new_plot, new_overlay)
