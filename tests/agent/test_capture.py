"""Cameras: waits are bounded, nothing is queued, what is lost is counted, bad files are refused."""

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

from agent import capture
from agent.capture import ReplayCamera, UsbCamera, open_camera
from agent.errors import CameraError
from agent.pace import Pace
from agent.records import Frame
from tests.standins import picamera2

FPS = 25
FRAMES = 20


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
        (b"\0\0\0\x01ftypmp42\xff\xff\xff\xff\xff\xff\xff\xff", "cut short"),
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


@pytest.mark.parametrize("share", [0.02, 0.3, 0.8, 0.99])
def test_an_mp4_that_was_cut_is_refused_before_it_is_measured(tmp_path: Path, share: float) -> None:
    content = write(tmp_path / "whole.mp4", 100, code="mp4v").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CameraError, match=r"cut short: expected at least \d+ bytes, found \d+"):
        ReplayCamera(path)


def test_a_video_that_breaks_off_says_how_much_was_expected_and_found(tmp_path: Path) -> None:
    content = write(tmp_path / "whole.avi", 100).read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(CameraError, match=r"expected about 100 frames \(4\.0 s\), found [56]\d \("):
        frames_of(ReplayCamera(path))


def test_a_clip_with_its_index_first_that_was_cut_is_refused(clips: Path, tmp_path: Path) -> None:
    content = (clips / "WolfgangLanger_Pexels.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CameraError, match="cut short: expected at least 1632292 bytes"):
        ReplayCamera(path)


def test_a_clip_that_is_damaged_in_its_middle_is_no_whole_video(
    clips: Path, tmp_path: Path
) -> None:
    content = bytearray((clips / "WolfgangLanger_Pexels.mp4").read_bytes())
    content[700_000:1_600_000] = bytes(900_000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    with pytest.raises(CameraError, match=r"breaks off: expected about 472 frames"):
        frames_of(ReplayCamera(path))


class OddVideo:
    """A capture whose container keeps such times, in milliseconds, and such a rate."""

    def __init__(self, times_ms: list[float], fps: float, count: float) -> None:
        self._times, self._at = times_ms, -1
        self._properties = {cv2.CAP_PROP_FPS: fps, cv2.CAP_PROP_FRAME_COUNT: count}

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return True

    def get(self, name: int) -> float:
        if name == cv2.CAP_PROP_POS_MSEC:
            return self._times[self._at]
        return self._properties.get(name, 48.0)

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self._times)

    def retrieve(self) -> tuple[bool, Any]:
        return True, np.zeros((48, 48, 3), np.uint8)

    def release(self) -> None:
        pass


@pytest.fixture
def odd(film: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ReplayCamera]:
    """A replay of a video whose container is odd."""

    def make(times_ms: list[float], fps: float = 25, count: float = 0) -> ReplayCamera:
        video = lambda *_: OddVideo(times_ms, fps, count)  # noqa: E731
        monkeypatch.setattr(capture.cv2, "VideoCapture", video)
        return ReplayCamera(film)

    return make


@pytest.mark.parametrize(
    "times_ms",
    [
        [0, 0, 0, 0],
        [0, 40, 40, 80],
        [0, float("nan"), 80, 120],
        [0, 40, float("inf"), 120],
        [0, -1e9, -1e9, -1e9],
        [7, 40, 80, 120],
    ],
)
def test_times_that_do_not_grow_are_counted_on_at_the_frame_rate(
    odd: Callable[..., ReplayCamera], times_ms: list[float]
) -> None:
    times = [frame.time_s for frame in frames_of(odd(times_ms))]
    np.testing.assert_allclose(times, [0, 0.04, 0.08, 0.12], atol=1e-9)


def test_a_variable_frame_rate_keeps_its_times(odd: Callable[..., ReplayCamera]) -> None:
    camera = odd([0, 33, 133, 166, 366], fps=1000, count=366)
    times = [frame.time_s for frame in frames_of(camera)]
    assert times == [0, 0.033, 0.133, 0.166, 0.366]
    assert camera.fps == pytest.approx(4 / 0.366)


@pytest.mark.parametrize(
    ("count", "whole"),
    [(-9.2e18, True), (0, True), (100, True), (104, True), (60, True), (113, False), (2e9, False)],
)
def test_a_container_s_own_count_is_an_estimate(
    odd: Callable[..., ReplayCamera], count: float, whole: bool
) -> None:
    camera = odd([40.0 * n for n in range(100)], fps=25, count=count)
    if whole:
        assert len(frames_of(camera)) == 100
    else:
        with pytest.raises(CameraError, match="breaks off"):
            frames_of(camera)


def test_not_one_frame_is_an_error(odd: Callable[..., ReplayCamera]) -> None:
    with pytest.raises(CameraError, match="found 0"):
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
    monkeypatch.setattr(capture, "time", clock)
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
    monkeypatch.setattr(capture.cv2, "VideoCapture", device)
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


@pytest.mark.parametrize(("fault", "message"), [("unplugged", "stopped giving"), ("broken", "sel")])
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
        monkeypatch.setattr(capture, "time", clock)
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
    monkeypatch.setattr(capture, "OPEN_TIMEOUT_S", 0.05)
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
        impatient.setattr(capture, "STOP_TIMEOUT_S", 0.05)
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
    assert open_camera("picamera2").source == "picamera2"
    assert open_camera("usb", device="/dev/video3").source == "usb"
    replay = open_camera("replay", file=film, loop=True)
    assert replay.source == "replay"
    with pytest.raises(CameraError, match="expected a video file"):
        open_camera("replay")


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
    camera = open_camera("replay", file=film)
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
