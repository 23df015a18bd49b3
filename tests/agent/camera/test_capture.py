"""Cameras: waits are bounded, nothing is queued, what is lost is counted, bad files are refused."""

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.camera import video_file
from agent.camera.containers import FileFacts
from agent.camera.pace import Pace
from agent.capture import ReplayCamera, UsbCamera, open_camera
from agent.config import CameraConfig
from agent.errors import CameraError
from agent.records import Frame
from tests.agent.videos import damaged
from tests.standins import picamera2

FPS = 25
FRAMES = 20
INPUTS = Path(__file__).parents[1] / "inputs"


def write(path: Path, frames: int = FRAMES, fps: float = FPS, code: str = "MJPG") -> Path:
    """A video whose n-th frame has the grey level 10 n, until that begins again at 250."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (64, 48))
    for number in range(frames):
        video.write(np.full((48, 64, 3), 10 * number % 250, np.uint8))
    video.release()
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("film") / "film.avi")


def frames_of(camera: ReplayCamera) -> list[Frame]:
    camera.start()
    return list(iter(lambda: camera.read(5.0), None))  # type: ignore[arg-type]


def numbers(frames: list[Frame]) -> list[int]:
    """Which frames of `write` these are."""
    return [round(float(frame.pixels.mean()) / 10) for frame in frames]


# A video in place of a camera


def test_a_replay_gives_every_frame_once_in_order_at_its_own_time(film: Path) -> None:
    camera = ReplayCamera(film)
    frames = frames_of(camera)
    assert numbers(frames) == list(range(FRAMES))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(FRAMES) / FPS, atol=1e-6)
    assert {(f.width, f.height, f.layout) for f in frames} == {(64, 48, "bgr")}
    assert (camera.width, camera.height, camera.fps) == (64, 48, FPS)
    assert camera.frames_dropped == 0


def test_after_the_end_it_stays_at_the_end(film: Path) -> None:
    camera = ReplayCamera(film)
    frames_of(camera)
    assert camera.read(1.0) is None


def test_each_start_begins_at_the_first_frame(film: Path) -> None:
    camera = ReplayCamera(film)
    frames_of(camera)
    camera.stop()
    assert numbers(frames_of(camera)) == list(range(FRAMES))
    camera.close()


@pytest.mark.parametrize(
    ("name", "frames", "fps"),
    [
        ("single_face.mp4", 72, 30),
        ("no_face.mp4", 95, 23.67),  # its container promises 98
        ("WolfgangLanger_Pexels.mp4", 472, 23.98),
        ("eyeblink8_subject4.mp4", 1956, 30),
    ],
)
def test_the_recorded_clips_are_read_to_their_end(
    clips: Path, name: str, frames: int, fps: float
) -> None:
    camera = ReplayCamera(clips / name)
    camera.start()
    times = []
    while (frame := camera.read(5.0)) is not None:
        times.append(frame.time_s)
    assert len(times) == frames
    assert np.diff(times).min() > 0
    assert camera.fps == pytest.approx(fps, abs=0.01)


def test_a_file_that_is_missing_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"none\.mp4: can't be read: No such file"):
        ReplayCamera(tmp_path / "none.mp4")
    with pytest.raises(CameraError, match="can't be read: Is a directory"):
        ReplayCamera(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a video, found an empty file"),
        (b"Dear diary, today I blinked.", "not a video"),
        (bytes(range(256)) * 200, "not a video"),
        (b"\0\0\0\x18ftypmp42" + bytes(12), "not a video"),
        (b"\0\0\0\x01ftypmp42\xff\xff\xff\xff\xff\xff\xff\xff", "truncated"),
        (b"RIFF\xff\xff\xff\xffAVI ", "not a video"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".txt"])
def test_a_file_that_is_no_video_is_refused_in_our_words_alone(
    tmp_path: Path, content: bytes, message: str, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(CameraError, match=message):
        ReplayCamera(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.8, 0.9])
def test_an_mp4_that_was_cut_is_refused_before_it_is_measured(tmp_path: Path, share: float) -> None:
    content = write(tmp_path / "whole.mp4", 100, code="mp4v").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CameraError, match=r"truncated: expected at least \d+ bytes, found \d+"):
        ReplayCamera(path)


def test_an_mp4_that_was_cut_after_its_tables_is_read(tmp_path: Path) -> None:
    content = write(tmp_path / "whole.mp4", 100, code="mp4v").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(len(content) * 0.99)])
    camera = ReplayCamera(path)
    assert len(frames_of(camera)) == 100
    assert "truncated" in (camera.ends_early or "")


def test_a_video_that_ends_early_is_read_to_its_end_and_says_so(tmp_path: Path) -> None:
    content = write(tmp_path / "whole.avi", 100).read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(content[: len(content) * 6 // 10])
    camera = ReplayCamera(path)
    frames = frames_of(camera)
    assert 50 < len(frames) < 60
    last_s = (len(frames) - 1) / FPS
    assert frames[-1].time_s == pytest.approx(last_s)
    assert camera.ends_early == (
        f"truncated: expected at least {len(content)} bytes, found {len(content) * 6 // 10};"
        f" its last frame is at {last_s:.2f} s"
    )


def test_a_whole_video_does_not_end_early(film: Path) -> None:
    camera = ReplayCamera(film)
    frames_of(camera)
    assert camera.ends_early is None


def test_a_clip_with_its_index_first_that_was_cut_is_read_to_its_end(
    clips: Path, tmp_path: Path
) -> None:
    content = (clips / "WolfgangLanger_Pexels.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: len(content) // 2])
    camera = ReplayCamera(path)
    assert 200 < len(frames_of(camera)) < 260
    assert "truncated: expected at least 1632292 bytes" in (camera.ends_early or "")


def test_what_is_damaged_in_the_middle_of_a_clip_is_dropped(clips: Path, tmp_path: Path) -> None:
    content = bytearray((clips / "WolfgangLanger_Pexels.mp4").read_bytes())
    content[700_000:1_000_000] = bytes(300_000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    camera = ReplayCamera(path)
    frames = frames_of(camera)
    assert frames[-1].time_s == pytest.approx(471 * 1001 / 24000, abs=0.001)
    assert 60 < camera.frames_dropped < 150
    assert len(frames) + camera.frames_dropped == pytest.approx(472, abs=1)
    assert camera.ends_early is None


def test_a_file_that_was_laid_out_whole_but_never_filled_ends_early(
    clips: Path, tmp_path: Path
) -> None:
    """As a download is that reserves its room first."""
    content = bytearray((clips / "WolfgangLanger_Pexels.mp4").read_bytes())
    content[700_000:] = bytes(len(content) - 700_000)
    path = tmp_path / "begun.mp4"
    path.write_bytes(content)
    camera = ReplayCamera(path)
    assert 150 < len(frames_of(camera)) < 260
    assert "frames are missing: expected frames until 19.56 s" in (camera.ends_early or "")


@pytest.mark.parametrize("bad", [{8, 9}, {0}, {3, 7, 15}, set(range(1, 18))])
@pytest.mark.parametrize("realtime", [False, True])
def test_a_picture_that_can_not_be_decoded_is_a_dropped_frame(
    tmp_path: Path, clock: "Clock", bad: set[int], realtime: bool
) -> None:
    camera = ReplayCamera(damaged(write(tmp_path / "film.avi"), bad), realtime=realtime)
    frames = frames_of(camera)
    good = [number for number in range(FRAMES) if number not in bad]
    assert numbers(frames) == good
    np.testing.assert_allclose(
        [frame.time_s for frame in frames], (np.array(good) - good[0]) / FPS, atol=1e-6
    )
    assert camera.frames_dropped == len(bad)
    assert camera.ends_early is None


def test_pictures_missing_at_the_end_are_said_and_are_no_dropped_frames(tmp_path: Path) -> None:
    path = damaged(write(tmp_path / "film.avi", 60), {10, *range(40, 60)})
    camera = ReplayCamera(path)
    assert len(frames_of(camera)) == 39
    assert camera.frames_dropped == 1
    assert camera.ends_early == (
        "frames are missing: expected frames until 2.36 s; its last frame is at 1.56 s"
    )


def test_a_long_stretch_that_can_not_be_decoded_is_passed_over(tmp_path: Path) -> None:
    path = damaged(write(tmp_path / "film.avi", 1000), set(range(100, 900)))
    camera = ReplayCamera(path)
    assert len(frames_of(camera)) == 200
    assert camera.frames_dropped == 800


def test_a_video_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    path = damaged(write(tmp_path / "film.avi"), set(range(FRAMES)))
    with pytest.raises(CameraError, match="no frame in it can be decoded"):
        frames_of(ReplayCamera(path))


@pytest.mark.parametrize("name", ["trimmed.mp4", "later.mkv", "sound.mkv", "stays.mp4"])
def test_what_a_player_plays_to_its_end_is_read_to_its_end(name: str) -> None:
    """Edit lists, times that begin later, sound that goes on, a picture that stays."""
    camera = ReplayCamera(INPUTS / name)
    frames = frames_of(camera)
    first = 20 if name == "trimmed.mp4" else 0
    grey = [10 * (number + first) % 250 for number in range(20)]
    assert [float(frame.pixels.mean()) for frame in frames] == pytest.approx(grey, abs=3)
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(20) / 25, atol=0.001)
    assert (camera.frames_dropped, camera.ends_early) == (0, None)
    assert camera.fps == pytest.approx(25, rel=0.01)


@pytest.mark.parametrize("name", ["trimmed.mp4", "later.mkv", "sound.mkv", "stays.mp4"])
def test_a_part_of_it_ends_early_or_can_not_be_read(tmp_path: Path, name: str) -> None:
    content = (INPUTS / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: len(content) * 9 // 10])
    if name.endswith("mp4"):  # the index, which comes last, is missing
        with pytest.raises(CameraError, match="truncated: expected at least"):
            ReplayCamera(path)
    else:
        camera = ReplayCamera(path)
        frames_of(camera)
        assert "truncated" in (camera.ends_early or "")


# A bare stream, which has no times


def jpegs(path: Path, bad: int | None = None) -> Path:
    """Pictures one after the other, as rpicam-vid writes them; one of them may be empty."""
    pictures = []
    for number in range(FRAMES):
        grey = np.full((48, 64, 3), 10 * number % 250, np.uint8)
        picture = cv2.imencode(".jpg", grey)[1].tobytes()
        pictures.append(picture[:2] + picture[-2:] if number == bad else picture)
    path.write_bytes(b"".join(pictures))
    return path


@pytest.fixture(params=["h264", "mjpeg"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bare stream of 20 pictures."""
    return INPUTS / "bare.h264" if request.param == "h264" else jpegs(tmp_path / "bare.mjpeg")


def test_a_bare_stream_is_refused_without_a_rate(bare: Path) -> None:
    with pytest.raises(CameraError, match=r"raw stream: .*replay --fps N"):
        ReplayCamera(bare)


def test_a_bare_stream_in_place_of_a_camera_is_refused(bare: Path) -> None:
    """`camera.fps` is how many are wanted, and has a default: it says nothing about a file."""
    with pytest.raises(CameraError, match="raw stream"):
        open_camera(CameraConfig("replay", file=bare, fps=30))


@pytest.mark.parametrize("rate", [15, 60, 29.97, 500])
def test_a_bare_stream_comes_at_the_rate_that_is_given(bare: Path, rate: float) -> None:
    camera = ReplayCamera(bare, rate=rate)
    frames = frames_of(camera)
    assert numbers(frames) == list(range(FRAMES))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(FRAMES) / rate, atol=1e-9)
    assert camera.fps == pytest.approx(rate)
    assert (camera.frames_dropped, camera.ends_early) == (0, None)


def test_a_damaged_picture_of_a_bare_stream_keeps_its_turn(tmp_path: Path) -> None:
    camera = ReplayCamera(jpegs(tmp_path / "bare.mjpeg", bad=5), rate=10)
    frames = frames_of(camera)
    assert numbers(frames) == [number for number in range(FRAMES) if number != 5]
    assert [round(10 * frame.time_s) for frame in frames] == numbers(frames)
    assert camera.frames_dropped == 1


@pytest.mark.parametrize("name", ["trimmed.mp4", "later.mkv"])
def test_a_rate_for_a_video_with_times_is_refused(name: str) -> None:
    with pytest.raises(CameraError, match="has timestamps: leave out --fps"):
        ReplayCamera(INPUTS / name, rate=30)


@pytest.mark.parametrize("rate", [0, -30, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(bare: Path, rate: float) -> None:
    with pytest.raises(CameraError, match="expected a positive frame rate"):
        ReplayCamera(bare, rate=rate)


# Names


@pytest.mark.parametrize(
    "name", ["2026-11-22T10:15:30.avi", "./10:15.avi", "file:x.avi", "http:x.avi", "a b?&#%d.avi"]
)
def test_any_name_will_do(film: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(film, tmp_path / name)
    with contextlib.chdir(tmp_path):
        assert len(frames_of(ReplayCamera(Path(name)))) == FRAMES


def test_a_name_that_opencv_crashes_on_is_refused(film: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.avi")
    shutil.copy(film, path)
    with pytest.raises(CameraError, match="expected a name in UTF-8"):
        ReplayCamera(path)


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

    def retrieve(self) -> tuple[bool, Any]:
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


class Clock:
    """Time that passes only when somebody sleeps or works."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("agent.camera.replay.time", clock)
    return clock


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


# A USB camera


class V4L2:
    """What OpenCV's capture does with a camera: a picture at each `tick`, until told otherwise.

    They are stamped `fps` a second, however fast they come.
    """

    fps = 30

    def __init__(self) -> None:
        self.ticks = threading.Semaphore(0)
        self.taken = threading.Semaphore(0)
        self.opens = True
        self.open_gate = threading.Event()
        self.open_gate.set()
        self.unplugged = False
        self.broken = False
        self.stamp_ms: float | None = None
        self.began_s = time.monotonic() - 0.9  # older than a second is not believed
        self.released = threading.Event()
        self.asked: dict[int, float] = {}
        self.reads = 0

    def __call__(self, device: str, api: int) -> "V4L2":
        assert api == cv2.CAP_V4L2
        self.released.clear()
        self.open_gate.wait(10)
        return self

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return self.opens

    def set(self, name: int, value: float) -> bool:
        self.asked[name] = value
        return True

    def get(self, name: int) -> float:
        if name == cv2.CAP_PROP_POS_MSEC:
            stamp_ms = 1000 * (self.began_s + self.reads / self.fps)
            return stamp_ms if self.stamp_ms is None else self.stamp_ms
        return {cv2.CAP_PROP_FRAME_WIDTH: 320, cv2.CAP_PROP_FRAME_HEIGHT: 240}[name]

    def read(self) -> tuple[bool, Any]:
        if self.reads:
            self.taken.release()
        self.ticks.acquire(timeout=10)
        self.reads += 1
        if self.broken:
            raise cv2.error("select() failed")
        return not self.unplugged, np.full((240, 320, 3), self.reads, np.uint8)

    def release(self) -> None:
        self.released.set()

    def give(self, pictures: int = 1) -> None:
        """Pictures arrive, each taken by the reading thread before the next."""
        for _ in range(pictures):
            self.ticks.release()
            assert self.taken.acquire(timeout=10)


@pytest.fixture
def v4l2(monkeypatch: pytest.MonkeyPatch) -> Iterator[V4L2]:
    device = V4L2()
    monkeypatch.setattr(cv2, "VideoCapture", device)
    yield device
    device.open_gate.set()
    device.ticks.release(100)


@pytest.fixture
def usb(v4l2: V4L2) -> Iterator[UsbCamera]:
    camera = UsbCamera("/dev/video7", 640, 480, 30)
    camera.start()
    yield camera
    v4l2.ticks.release(100)
    camera.close()
    assert v4l2.released.is_set()


def test_a_usb_camera_is_asked_for_a_size_and_says_what_it_gives(
    v4l2: V4L2, usb: UsbCamera
) -> None:
    assert v4l2.asked[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert v4l2.asked[cv2.CAP_PROP_FPS] == 30
    assert (usb.width, usb.height) == (320, 240)


def test_a_usb_camera_gives_the_newest_frame_and_counts_those_it_replaced(
    v4l2: V4L2, usb: UsbCamera
) -> None:
    v4l2.give(4)
    frame = usb.read(5.0)
    assert frame is not None
    assert frame.pixels[0, 0, 0] == 4
    assert usb.frames_dropped == 3
    v4l2.give()
    frame = usb.read(5.0)
    assert frame is not None
    assert frame.pixels[0, 0, 0] == 5
    assert usb.frames_dropped == 3


def test_a_usb_camera_that_gives_twice_as_much_as_asked_for_is_halved(v4l2: V4L2) -> None:
    camera = UsbCamera("/dev/video7", 640, 480, 15)
    camera.start()
    taken = []
    for _ in range(6):
        v4l2.give(2)
        frame = camera.read(5.0)
        assert frame is not None
        taken.append(frame.pixels[0, 0, 0])
    assert taken == [1, 3, 5, 7, 9, 11]
    assert camera.frames_dropped == 0
    v4l2.ticks.release(100)
    camera.close()


def test_a_usb_camera_that_hangs_ends_in_an_error(usb: UsbCamera) -> None:
    with pytest.raises(CameraError, match=r"/dev/video7: no frame within 0\.05 s"):
        usb.read(0.05)


@pytest.mark.parametrize(("fault", "message"), [("unplugged", "no more frames"), ("broken", "sel")])
def test_a_usb_camera_that_is_unplugged_ends_in_an_error(
    v4l2: V4L2, usb: UsbCamera, fault: str, message: str
) -> None:
    setattr(v4l2, fault, True)
    v4l2.ticks.release()
    for _ in range(2):
        with pytest.raises(CameraError, match=f"/dev/video7: {message}"):
            usb.read(5.0)


def test_a_usb_camera_s_frames_have_the_kernel_s_time_where_there_is_one(
    v4l2: V4L2, usb: UsbCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = (400_000, 399_900, 399.9), (500_000, 0, 500), (600_000, 1.7e12, 600), (7e5, 701e3, 700)
    for now_ms, stamp_ms, expected_s in cases:
        clock = SimpleNamespace(monotonic=lambda now_s=now_ms / 1000: now_s)
        monkeypatch.setattr("agent.camera.usb.time", clock)
        v4l2.stamp_ms = stamp_ms
        v4l2.give()
        frame = usb.read(5.0)
        assert frame is not None
        assert frame.time_s == expected_s


def test_a_usb_camera_that_is_unplugged_is_missed_without_starting_it(tmp_path: Path) -> None:
    node = tmp_path / "video7"
    node.touch()
    camera = UsbCamera(str(node), 640, 480, 30)
    camera.check()
    node.unlink()
    with pytest.raises(CameraError, match="unplugged"):
        camera.check()


def test_a_usb_camera_that_is_not_there_is_named(v4l2: V4L2) -> None:
    v4l2.opens = False
    with pytest.raises(CameraError, match="/dev/video7: can't be opened"):
        UsbCamera("/dev/video7", 640, 480, 30).start()
    assert v4l2.released.wait(5)


def test_a_usb_camera_that_does_not_open_in_time_is_given_up(
    v4l2: V4L2, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.camera.usb.OPEN_TIMEOUT_S", 0.05)
    v4l2.open_gate.clear()
    with pytest.raises(CameraError, match="did not open in time"):
        UsbCamera("/dev/video7", 640, 480, 30).start()
    v4l2.open_gate.set()
    assert v4l2.released.wait(5)
    assert v4l2.reads == 0


def test_a_usb_camera_that_does_not_let_go_is_given_up(
    v4l2: V4L2, usb: UsbCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr("agent.camera.usb.STOP_TIMEOUT_S", 0.05)
        with pytest.raises(CameraError, match="did not stop"):
            usb.stop()


def test_a_usb_camera_can_be_started_again(v4l2: V4L2, usb: UsbCamera) -> None:
    v4l2.give(3)
    v4l2.ticks.release()
    usb.stop()
    usb.stop()
    usb.start()
    assert usb.frames_dropped == 0
    v4l2.ticks.release()
    assert usb.read(5.0) is not None


def test_a_real_file_that_is_no_camera_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="can't be opened as a V4L2 camera"):
        UsbCamera(str(tmp_path / "video0"), 640, 480, 30).start()


# Choosing


def test_the_source_chooses_the_camera(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", picamera2)
    assert open_camera(CameraConfig("picamera2")).source == "picamera2"
    assert open_camera(CameraConfig("usb", device="/dev/video3")).source == "usb"
    replay = open_camera(CameraConfig("replay", file=film, loop=True))
    assert replay.source == "replay"
    with pytest.raises(CameraError, match="expected a video file"):
        open_camera(CameraConfig("replay"))


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


@pytest.mark.parametrize("behind", [2, 7])
def test_a_usb_camera_queues_nothing(v4l2: V4L2, usb: UsbCamera, behind: int) -> None:
    for step in range(1, 4):
        v4l2.give(behind)
        frame = usb.read(5.0)
        assert frame is not None
        assert frame.pixels[0, 0, 0] == step * behind
        assert usb.frames_dropped == step * (behind - 1)


def test_a_replay_in_place_of_a_camera_is_paced_like_one(film: Path, clock: Clock) -> None:
    camera = open_camera(CameraConfig("replay", file=film))
    camera.start()
    for _ in range(FRAMES):
        camera.read(1.0)
    assert clock.now_s - 1000 == pytest.approx((FRAMES - 1) / FPS)


def test_a_video_that_vanishes_between_sessions_is_an_error(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    shutil.copy(film, path)
    camera = ReplayCamera(path)
    path.unlink()
    with pytest.raises(CameraError, match="No such file"):
        camera.start()
