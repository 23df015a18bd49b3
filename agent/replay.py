"""Offline: a video or a recorded trace through the same measurement as a session's."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from agent.blinks import BlinkDetector
from agent.document import Document
from agent.recording import Recording
from agent.records import Blink, EyeSample, Frame
from agent.trace import Trace, TraceWriter, blink_rows


class Video(Protocol):
    """A camera whose frames end."""

    frames_dropped: int

    @property
    def fps(self) -> float:
        """Frames a second."""

    def start(self) -> None:
        """Begins at the first frame."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame, or None after the last."""

    def close(self) -> None:
        """Lets go of the file."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What `blink-agent replay` prints. `blinks` has rows as of `trace.blink_rows`."""

    frames: int
    fps: float
    document: Document
    blinks: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """The object of `--json`."""
        return {
            "frames": self.frames,
            "fps": round(self.fps, 3),
            "document": self.document,
            "blinks": self.blinks,
        }


def replay(video: Video, recording: Recording, trace: TraceWriter | None = None) -> Replayed:
    """Measures every frame of `video`. Raises CameraError where it can't be read to its end."""
    samples: list[EyeSample] = []
    video.start()
    try:
        while (frame := video.read(timeout_s=10.0)) is not None:
            sample, _ = recording.add(frame)
            if trace is not None:
                trace.write(len(samples), sample)
            samples.append(sample)
    finally:
        video.close()
    recording.frames_dropped = video.frames_dropped
    document = recording.finish("command")
    counted = document["metrics"]["blink_count"] is not None
    rows = blink_rows(find_blinks(samples), samples) if counted else []
    return Replayed(len(samples), video.fps, document, rows)


def analyse(trace: Trace) -> list[dict[str, Any]]:
    """The blinks in a recorded trace, as rows."""
    return blink_rows(find_blinks(trace.samples), trace.samples, trace.frames)


def find_blinks(samples: Iterable[EyeSample]) -> list[Blink]:
    """All events of a whole recording, in their order."""
    detector = BlinkDetector()
    found = [blink for sample in samples for blink in detector.add(sample)]
    return found + detector.finish()
