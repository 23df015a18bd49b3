"""Offline measurement: a video or a recorded trace goes through the same code as a session.

What the session's document leaves out is never printed or drawn here: `counted` applies that rule
to both commands. Below 10 frames per second, or if noise or blur hides the blinks, there are no
blinks; below 15, they have no durations.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from agent.camera.replay import ReplayCamera
from agent.measure.document import iso_utc, parse_utc
from agent.measure.recording import Recording
from agent.offline.evidence import Evidence, gather
from agent.offline.trace import Trace, TraceWriter, blink_rows
from agent.records import Document, EyeSample, Frame

Rows = list[dict[str, Any]]
"""Rows as from `trace.blink_rows`; `duration_ms` is None if durations are not measured."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result that `blink-agent replay` prints and draws.

    `blinks` is None if they are not counted: the JSON then has no rows, and `counted` is false.
    `ends_early` says what is missing at the end of the video, if anything.
    """

    frames: int
    fps: float
    ends_early: str | None
    document: Document
    blinks: Rows | None
    evidence: Evidence

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "frames": self.frames,
            "fps": round(self.fps, 3),
            "ends_early": self.ends_early,
            "document": self.document,
            "counted": self.blinks is not None,
            "blinks": self.blinks or [],
        }


def replay(video: ReplayCamera, recording: Recording, trace: TraceWriter | None = None) -> Replayed:
    """Measure every frame of `video`. Raises CameraError if it can't be measured."""
    samples: list[EyeSample] = []
    with closing(frames_of(video)) as frames:
        for frame in frames:
            sample, _ = recording.add(frame)
            if trace is not None:
                trace.write(len(samples), sample)
            samples.append(sample)
    recording.frames_dropped = video.frames_dropped
    document = _ending_now(recording.finish("command"))
    blinks, evidence = counted(
        gather(samples),
        samples,
        range(len(samples)),
        blink_count=document["metrics"]["blink_count"],
        durations_ms=document["blinks"]["duration_ms"],
    )
    return Replayed(len(samples), video.fps, video.ends_early, document, blinks, evidence)


def analyse(trace: Trace) -> tuple[Rows | None, Evidence]:
    """Return the blinks of a trace, None if they are not counted, and what may be drawn."""
    evidence = gather(trace.samples)
    session = evidence.session
    return counted(
        evidence,
        trace.samples,
        trace.frames,
        blink_count=session.metrics.blink_count,
        durations_ms=session.blinks.duration_ms if session.blinks else (),
    )


def counted(
    evidence: Evidence,
    samples: Sequence[EyeSample],
    frames: Sequence[int],
    *,
    blink_count: int | None,
    durations_ms: Sequence[float | None],
) -> tuple[Rows | None, Evidence]:
    """Return the blink rows and the evidence, limited to what the session itself reports.

    This is the only gate of `replay` and `analyse`. `frames` holds the number of each sample's
    frame. `blink_count` and `durations_ms`, one per blink, are those of the session.
    """
    if blink_count is None:
        return None, replace(evidence, blinks=())
    rows = blink_rows(evidence.blinks, samples, frames)
    if None in durations_ms:
        rows = [{**row, "duration_ms": None} for row in rows]
    return rows, evidence


def _ending_now(document: Document) -> Document:
    """Date the session to end now: a video has no date of its own."""
    ended_at = parse_utc(document["ended_at"])
    started_at = ended_at - timedelta(seconds=document["metrics"]["duration_s"])
    return {**document, "started_at": iso_utc(started_at)}


def frames_of(video: ReplayCamera) -> Generator[Frame]:
    """Yield all frames from the first on. Raises CameraError if there are none to read."""
    video.start()
    try:
        while (frame := video.read(timeout_s=10.0)) is not None:
            yield frame
    finally:
        video.close()
