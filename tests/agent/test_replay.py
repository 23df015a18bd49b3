"""A video through the same measurement as a session's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.capture import ReplayCamera
from agent.clock import Clock
from agent.errors import CameraError
from agent.evidence import gather
from agent.landmarks import FaceTracker
from agent.pictures import LidKeeper
from agent.recording import Recording
from agent.records import EyeSample, Frame
from agent.replay import Replayed, frames_of, replay
from agent.trace import TraceWriter
from scripts.portrait import LidMovement, Portrait, Schedule, write_video


class Kept(TraceWriter):
    """Keeps the samples instead of writing them."""

    def __init__(self) -> None:
        self.samples: list[EyeSample] = []

    def write(self, frame: int, sample: EyeSample) -> None:
        assert frame == len(self.samples)
        self.samples.append(sample)


def replayed(path: Path, tracker: FaceTracker, kept: Kept) -> Replayed:
    recording = Recording(LidKeeper(tracker), Clock(), camera={"source": "replay"}, agent={})
    return replay(ReplayCamera(path), recording, kept)


@pytest.mark.parametrize(("fps", "counted"), [(25, True), (8, False)])
def test_what_is_listed_and_drawn_is_what_the_document_counts(
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
    assert len(done.blinks) == len(done.evidence.blinks) == (expected or 0)


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


def test_frames_end_loudly_where_the_video_breaks_off(portrait: Portrait, tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    write_video(path, portrait, Schedule(()), seconds=2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CameraError, match="breaks off"):
        list(frames_of(ReplayCamera(path)))
