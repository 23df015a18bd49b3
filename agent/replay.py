"""Offline: a video or a recorded trace through the same measurement as a session's."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from agent.document import Document, iso_utc, parse_utc
from agent.evidence import Evidence, gather
from agent.recording import Recording
from agent.records import EyeSample, Frame
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
    """What `blink-agent replay` prints and draws. `blinks` has rows as of `trace.blink_rows`."""

    frames: int
    fps: float
    document: Document
    blinks: list[dict[str, Any]]
    evidence: Evidence

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
    with closing(frames_of(video)) as frames:
        for frame in frames:
            sample, _ = recording.add(frame)
            if trace is not None:
                trace.write(len(samples), sample)
            samples.append(sample)
    recording.frames_dropped = video.frames_dropped
    document, evidence = _ending_now(recording.finish("command")), gather(samples)
    if document["metrics"]["blink_count"] is None:
        evidence = replace(evidence, blinks=())
    rows = blink_rows(evidence.blinks, samples)
    return Replayed(len(samples), video.fps, document, rows, evidence)


def _ending_now(document: Document) -> Document:
    """A video has no date of its own: its session lasted as long as the video, and ends now."""
    ended_at = parse_utc(document["ended_at"])
    started_at = ended_at - timedelta(seconds=document["metrics"]["duration_s"])
    return {**document, "started_at": iso_utc(started_at)}


def frames_of(video: Video) -> Generator[Frame]:
    """All frames from the first on. Raises CameraError where it can't be read to its end."""
    video.start()
    try:
        while (frame := video.read(timeout_s=10.0)) is not None:
            yield frame
    finally:
        video.close()


def analyse(trace: Trace) -> tuple[list[dict[str, Any]], Evidence]:
    """The blinks in a recorded trace, as rows, and what they were counted from."""
    evidence = gather(trace.samples)
    return blink_rows(evidence.blinks, trace.samples, trace.frames), evidence
