"""The times of a replayed video: odd ones, and the real time in which its frames are due."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.camera import video_file
from agent.camera.containers import FileFacts
from agent.camera.pace import Pace
from agent.capture import ReplayCamera, open_camera
from agent.config import CameraConfig
from agent.errors import CameraError
from tests.agent.camera.films import FPS, FRAMES, Clock, frames_of, numbers

# Odd times


class OddVideo:
    """A capture whose container keeps such times, in milliseconds, and such a rate.

    None is a picture that can't be decoded until it is shown.
    """

    def __init__(self, times_ms: list[float | None], fps: float, count: float) -> None:
        self._times, self._at = times_ms, -1
        self._properties = {cv2.CAP_PROP_FPS: fps, cv2.CAP_PROP_FRAME_COUNT: count}

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return True

    def get(self, name: int) -> float:
        if name == cv2.CAP_PROP_POS_MSEC:
            time_ms = self._times[self._at]
            return 40.0 * self._at if time_ms is None else time_ms
        return self._properties.get(name, 48.0)

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self._times)

    def retrieve(self, image: Any = None) -> tuple[bool, Any]:
        return self._times[self._at] is not None, np.zeros((48, 48, 3), np.uint8)

    def release(self) -> None:
        pass


@pytest.fixture
def odd(film: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ReplayCamera]:
    """A replay of a video whose container is odd."""

    def make(times_ms: list[float | None], fps: float = 25, count: float = 0) -> ReplayCamera:
        video = lambda *_: OddVideo(times_ms, fps, count)  # noqa: E731
        monkeypatch.setattr(cv2, "VideoCapture", video)
        # The film's own end is another one's.
        monkeypatch.setattr(video_file, "read_facts", lambda _: FileFacts("other", 1, 1))
        return ReplayCamera(film)

    return make


NOWHERE = float("nan")


@pytest.mark.parametrize(
    ("times_ms", "expected_s"),
    [
        ([0, 40, 40, 80], [0, 0.04, 0.08]),
        ([0, NOWHERE, 80, 120], [0, 0.08, 0.12]),
        ([0, 40, float("inf"), 120], [0, 0.04, 0.12]),
        ([NOWHERE, 40, 80, 120], [0, 0.04, 0.08]),
        ([0, 40, 80, 0], [0, 0.04, 0.08]),  # OpenCV's 0 for "none"
    ],
)
def test_a_picture_without_a_time_of_its_own_is_a_dropped_frame(
    odd: Callable[..., ReplayCamera], times_ms: list[float], expected_s: list[float]
) -> None:
    camera = odd(times_ms)
    times = [frame.time_s for frame in frames_of(camera)]
    np.testing.assert_allclose(times, expected_s, atol=1e-9)
    assert camera.frames_dropped == 1
    assert camera.ends_early is None


@pytest.mark.parametrize(
    ("times_ms", "expected_s"),
    [
        ([7, 47, 87], [0, 0.04, 0.08]),
        ([600_000, 600_033, 600_066], [0, 0.033, 0.066]),
        ([-66, 40, 80], [0, 0.04, 0.08]),  # OpenCV's decoding time for a first picture at 0
        ([-7.6e15, -7.6e15 + 40, -7.6e15 + 80], [0, 0.04, 0.08]),
    ],
)
def test_times_begin_with_the_first_picture(
    odd: Callable[..., ReplayCamera], times_ms: list[float], expected_s: list[float]
) -> None:
    times = [frame.time_s for frame in frames_of(odd(times_ms))]
    np.testing.assert_allclose(times, expected_s, atol=1e-3)


@pytest.mark.parametrize("times_ms", [[0.0] * 4, [0.0, -1e9, -1e9, -1e9], [0.0] * 5000])
def test_a_container_without_times_is_refused(
    odd: Callable[..., ReplayCamera], times_ms: list[float]
) -> None:
    with pytest.raises(CameraError, match="expected increasing timestamps, found none"):
        frames_of(odd(times_ms))


def test_what_follows_after_times_that_jump_back_is_missing(
    odd: Callable[..., ReplayCamera],
) -> None:
    """As of two recordings written one after the other."""
    one = [40.0 * number for number in range(200)]
    camera = odd(one + one)
    assert len(frames_of(camera)) == 200
    assert camera.frames_dropped == 0
    assert "its timestamps jump back" in (camera.ends_early or "")
    assert camera.read(1.0) is None


def test_a_picture_that_turns_out_to_be_none_is_a_dropped_frame(
    odd: Callable[..., ReplayCamera],
) -> None:
    camera = odd([0, 40, None, None, 160])
    assert [frame.time_s for frame in frames_of(camera)] == pytest.approx([0, 0.04, 0.16])
    assert camera.frames_dropped == 2


def test_a_variable_frame_rate_keeps_its_times(odd: Callable[..., ReplayCamera]) -> None:
    camera = odd([0, 33, 133, 166, 366], fps=1000, count=366)
    times = [frame.time_s for frame in frames_of(camera)]
    assert times == [0, 0.033, 0.133, 0.166, 0.366]
    assert camera.fps == pytest.approx(4 / 0.366)


@pytest.mark.parametrize("count", [-9.2e18, 0, 60, 100, 113, 1e5, 2.0**30])
def test_a_container_s_own_count_is_not_believed(
    odd: Callable[..., ReplayCamera], count: float
) -> None:
    camera = odd([40.0 * n for n in range(100)], fps=25, count=count)
    assert len(frames_of(camera)) == 100
    assert camera.ends_early is None


def test_not_one_frame_is_an_error(odd: Callable[..., ReplayCamera]) -> None:
    with pytest.raises(CameraError, match="no frame in it can be decoded"):
        frames_of(odd([]))


# In time


def test_in_real_time_a_frame_comes_when_it_is_due(film: Path, clock: Clock) -> None:
    camera = ReplayCamera(film, realtime=True)
    camera.start()
    arrivals = []
    while camera.read(1.0) is not None:
        arrivals.append(clock.now_s)
    np.testing.assert_allclose(np.diff(arrivals), 1 / FPS, atol=1e-6)
    assert len(arrivals) == FRAMES
    assert camera.frames_dropped == 0


def test_in_real_time_late_frames_are_dropped_and_counted(film: Path, clock: Clock) -> None:
    camera = ReplayCamera(film, realtime=True)
    camera.start()
    given = []
    while (frame := camera.read(1.0)) is not None:
        given.append(frame)
        clock.now_s += 2.5 / FPS
        assert clock.now_s - 1000 - frame.time_s < 4 / FPS
    assert len(given) + camera.frames_dropped == FRAMES
    assert 6 <= len(given) <= 9
    camera.start()
    assert camera.frames_dropped == 0


def test_in_real_time_the_wait_is_bounded(odd: Callable[..., ReplayCamera], clock: Clock) -> None:
    camera = odd([0, 40, 60_000])
    camera._realtime = True
    camera.start()
    camera.read(1.0)
    camera.read(1.0)
    before = clock.now_s
    with pytest.raises(CameraError, match="no frame in time"):
        camera.read(2.0)
    assert clock.now_s == pytest.approx(before + 2.0)


@pytest.mark.parametrize(("fps", "expected"), [(12.5, 2), (5, 5), (25, 1), (100, 1)])
@pytest.mark.parametrize("realtime", [False, True])
def test_a_rate_that_is_asked_for_is_kept(
    film: Path, clock: Clock, fps: float, expected: int, realtime: bool
) -> None:
    camera = ReplayCamera(film, realtime=realtime, fps=fps)
    assert numbers(frames_of(camera)) == list(range(0, FRAMES, expected))
    assert camera.fps == min(fps, FPS)
    assert camera.frames_dropped == 0


def test_of_a_rate_that_is_asked_for_only_its_own_frames_are_dropped(
    film: Path, clock: Clock
) -> None:
    camera = ReplayCamera(film, realtime=True, fps=FPS / 2)
    camera.start()
    given = []
    while (frame := camera.read(1.0)) is not None:
        given.append(frame)
        clock.now_s += 5 / FPS
    assert all(number % 2 == 0 for number in numbers(given))
    assert len(given) + camera.frames_dropped == FRAMES / 2


@given(
    asked=st.floats(5, 60),
    given_fps=st.floats(5, 120),
    jitter=st.lists(st.floats(-0.1, 0.1), min_size=200, max_size=200),
)
def test_no_more_is_taken_than_asked_for_and_no_less_than_there_is(
    asked: float, given_fps: float, jitter: list[float]
) -> None:
    pace = Pace(asked)
    times = [(number + early) / given_fps for number, early in enumerate(jitter)]
    taken = [time_s for time_s in times if pace.takes(time_s)]
    rate = (len(taken) - 1) / (taken[-1] - taken[0])
    assert rate <= 1.03 * asked + 0.2 * (given_fps <= asked) * given_fps
    assert len(taken) >= 0.97 * 200 * min(1.0, asked / given_fps)


def test_in_a_loop_the_video_begins_again_and_time_goes_on(film: Path) -> None:
    camera = ReplayCamera(film, loop=True)
    camera.start()
    frames = [camera.read(1.0) for _ in range(3 * FRAMES)]
    assert numbers([f for f in frames if f]) == list(range(FRAMES)) * 3
    times = [f.time_s for f in frames if f]
    np.testing.assert_allclose(times, np.arange(3 * FRAMES) / FPS, atol=1e-6)


# Whoever is slow gets fresh frames: those that came meanwhile are counted, not queued


@pytest.mark.parametrize("behind", [2, 7])
def test_a_replay_in_real_time_queues_nothing(film: Path, clock: Clock, behind: int) -> None:
    camera = ReplayCamera(film, realtime=True, loop=True)
    camera.start()
    for _ in range(10):
        frame = camera.read(1.0)
        assert frame is not None
        assert clock.now_s - (1000 + frame.time_s) <= 1 / FPS + 1e-6
        clock.now_s += behind / FPS
    assert camera.frames_dropped >= 9 * (behind - 2)


def test_a_replay_in_place_of_a_camera_is_paced_like_one(film: Path, clock: Clock) -> None:
    camera = open_camera(CameraConfig("replay", file=film))
    camera.start()
    for _ in range(FRAMES):
        camera.read(1.0)
    assert clock.now_s - 1000 == pytest.approx((FRAMES - 1) / FPS)
