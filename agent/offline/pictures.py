"""The pictures that a person asked for of a recording: written whole, or not at all."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agent.measure.recording import Tracker
from agent.offline.evidence import Evidence
from agent.offline.overlay import Lids, write_overlay
from agent.offline.plot import write_plot
from agent.offline.replay import Video, frames_of
from agent.records import FaceLandmarks, Frame
from agent.system.files import atomic_file


class LidKeeper:
    """A tracker that keeps the lids it found, one entry a frame: 300 bytes, 30 MB an hour."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.lids: list[Lids | None] = []

    def find(self, frame: Frame) -> FaceLandmarks | None:
        """What the tracker finds."""
        face = self._tracker.find(frame)
        self.lids.append(None if face is None else face.lids)
        return face

    def reset(self) -> None:
        """Forget the face, and the lids."""
        self._tracker.reset()
        self.lids.clear()


class Pictures:
    """Draws the plot of a recording to `plot` and the video of it to `overlay`, where given."""

    def __init__(self, title: str, plot: Path | None, overlay: Path | None) -> None:
        self._title = title
        self._plot = plot
        self._overlay = overlay
        self._lids: LidKeeper | None = None

    def watching(self, tracker: Tracker) -> Tracker:
        """The tracker to measure with: one that keeps what the overlay shows."""
        if self._overlay is None:
            return tracker
        self._lids = LidKeeper(tracker)
        return self._lids

    def draw(self, evidence: Evidence, video: Video | None = None) -> None:
        """Raises OSError, or AgentError, where they can't be written."""
        if self._plot is not None:
            write_plot(self._plot, evidence, self._title)
        if self._overlay is not None and self._lids is not None and video is not None:
            frames = frames_of(video)
            write_overlay(self._overlay, frames, video.fps, evidence, self._lids.lids)


@contextmanager
def pictures(source: Path, plot: Path | None, overlay: Path | None = None) -> Iterator[Pictures]:
    """Of the recording in the file `source`. They appear when the block has ended well.

    Raises AgentError at once where one of them can't be written, and later if that fails.
    """
    with ExitStack() as stack:
        new_plot, new_overlay = (
            path and stack.enter_context(atomic_file(path, suffix, source=source))
            for path, suffix in ((plot, ".png"), (overlay, ".mp4"))
        )
        yield Pictures(source.name, new_plot, new_overlay)
