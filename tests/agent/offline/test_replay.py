"""Videos and traces go through the same measurement as a session."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from agent.capture import ReplayCamera
from agent.clock import Clock
from agent.face.tracker import FaceTracker
from agent.measure.recording import Recording
from agent.offline.evidence import blink_summary, gather
from agent.offline.pictures import LidRecorder
from agent.offline.replay import Replayed, analyse, frames_of, replay
from agent.offline.trace import Trace, TraceWriter
from agent.records import EyeSample, Frame
from scripts.portrait import LidMovement, Portrait, Schedule, write_video
from tests.agent.traces import Camera, Lids, without_face


class Kept(TraceWriter):
    """Keeps the samples instead of writing them."""

    def __init__(self) -> None:
        self.samples: list[EyeSample] = []

    def write(self, frame: int, sample: EyeSample) -> None:
        assert frame == len(self.samples)
        self.samples.append(sample)


def replayed(
    path: Path, tracker: FaceTracker, kept: Kept | None = None, rate: float | None = None
) -> Replayed:
    recording = Recording(LidRecorder(tracker), Clock(), camera={"source": "replay"}, agent={})
    return replay(ReplayCamera(path, rate=rate), recording, kept)


@pytest.mark.parametrize(("fps", "counted"), [(25, True), (8, False)])
def test_rows_and_drawings_match_the_counts_of_the_document(
    portrait: Portrait,
    new_tracker: Callable[[], FaceTracker],
    tmp_path: Path,
    fps: float,
    counted: bool,
) -> None:
    path, kept = tmp_path / "video.mp4", Kept()
    schedule = Schedule((LidMovement(1.5, 0.4), LidMovement(3.0, 0.4)))
    write_video(path, portrait, schedule, seconds=4.5, fps=fps)
    done = replayed(path, new_tracker(), kept)
    assert done.frames == len(kept.samples) == len(done.evidence.times) == round(4.5 * fps)
    assert len(gather(kept.samples).blinks) > 0  # the detector itself doesn't mind the rate
    expected = 2 if counted else None
    assert done.document["metrics"]["blink_count"] == expected
    assert len(done.evidence.blinks) == (expected or 0)
    if done.blinks is None:
        assert not counted
    else:
        assert len(done.blinks) == expected
    assert done.as_json()["blinks"] == (done.blinks or [])
    assert done.as_json()["counted"] == counted
    assert done.as_json()["ends_early"] is None


def test_a_video_is_closed_when_its_frames_are_left(portrait: Portrait, tmp_path: Path) -> None:
    class Video(ReplayCamera):
        closed = False

        def close(self) -> None:
            super().close()
            self.closed = True

    path = tmp_path / "video.mp4"
    write_video(path, portrait, Schedule(()), seconds=0.4)
    video = Video(path)
    frames = frames_of(video)
    assert isinstance(next(frames), Frame)
    frames.close()
    assert video.closed


def test_a_video_that_ends_early_is_measured_and_says_so(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker], tmp_path: Path
) -> None:
    path = tmp_path / "video.avi"
    write_video(path, portrait, Schedule((LidMovement(1.5, 0.3),)), seconds=8)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = replayed(path, new_tracker())
    assert done.document["metrics"]["blink_count"] == 1
    assert done.document["metrics"]["duration_s"] == pytest.approx(4, abs=0.6)
    assert (done.ends_early or "").startswith("truncated: expected at least")
    assert done.as_json()["ends_early"] == done.ends_early


@pytest.mark.parametrize("rate", [30, 60])
def test_a_bare_stream_is_measured_at_the_given_rate(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker], tmp_path: Path, rate: float
) -> None:
    written, path = tmp_path / "video.avi", tmp_path / "video.mjpeg"
    write_video(written, portrait, Schedule((LidMovement(1.5, 0.3),)), seconds=3, fps=30)
    pictures = [cv2.imencode(".jpg", each.pixels)[1] for each in frames_of(ReplayCamera(written))]
    path.write_bytes(b"".join(picture.tobytes() for picture in pictures))
    timed = replayed(written, new_tracker()).document["metrics"]
    bare = replayed(path, new_tracker(), rate=rate).document["metrics"]
    assert (bare["frames"], bare["blink_count"]) == (timed["frames"], 1) == (90, 1)
    assert bare["duration_s"] == pytest.approx(89 / rate, abs=0.06)
    length_ms = timed["blink_duration_median_ms"] * 30 / rate
    assert bare["blink_duration_median_ms"] == pytest.approx(length_ms, abs=15)


# Traces: what the session of the same samples leaves out is left out

LIDS = [Lids(at_s) for at_s in range(3, 30, 3)]


def trace(samples: list[EyeSample]) -> Trace:
    return Trace(tuple(samples), tuple(range(len(samples))))


def noisy(samples: list[EyeSample]) -> list[EyeSample]:
    """Noise of a quarter of a blink's depth."""
    chance = random.Random(0)
    return [
        replace(each, ear=max(0.0, (each.ear or 0) + chance.gauss(0, 0.05))) for each in samples
    ]


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        (Camera(7).see(LIDS, 30.0), "low_frame_rate"),
        (Camera(4).see(LIDS, 30.0), "low_frame_rate"),
        (Camera(30, dropped=0.8).see(LIDS, 30.0), "low_frame_rate"),
        (noisy(Camera().see(LIDS, 30.0)), "noisy"),
        (without_face(Camera().see(LIDS, 30.0), -1, 31), "no_face"),
    ],
)
def test_a_trace_counts_nothing_that_a_session_would_not(
    samples: list[EyeSample], word: str
) -> None:
    blinks, evidence = analyse(trace(samples))
    assert blinks is None
    assert evidence.blinks == ()
    assert evidence.session.metrics.blink_count is None
    assert word in evidence.session.quality
    assert blink_summary(evidence) == "blinks not counted"


def test_durations_that_a_session_does_not_measure_are_left_out(tmp_path: Path) -> None:
    blinks, evidence = analyse(trace(Camera(12).see(LIDS, 30.0)))
    assert evidence.session.metrics.blink_count == len(blinks or []) == len(LIDS)
    assert evidence.session.metrics.blink_duration_median_ms is None
    assert {row["duration_ms"] for row in blinks or []} == {None}


def test_a_good_trace_is_counted_and_timed() -> None:
    blinks, evidence = analyse(trace(Camera().see(LIDS, 30.0)))
    assert evidence.session.metrics.blink_count == len(blinks or []) == len(LIDS)
    assert all(150 < row["duration_ms"] < 250 for row in blinks or [])
