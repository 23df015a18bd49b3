"""A USB camera: waits are bounded, nothing is queued, what is lost is counted."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from agent.capture import UsbCamera
from agent.errors import CameraError

# A USB camera

OPENCV = "loadsave.cpp:1310: error: (-215:Assertion failed) !buf.empty() in function 'imdecode_'"


class V4L2:
    """A stand-in for OpenCV's capture: a picture at each `tick`, until a test changes that.

    They are stamped `fps` a second, however fast they come.
    """

    fps = 30

    def __init__(self) -> None:
        self.ticks = threading.Semaphore(0)
        self.taken = threading.Semaphore(0)
        self.opens = True
        self.open_gate = threading.Event()
        self.open_gate.set()
        self.empty = False
        self.broken = False
        self.unsupported = False
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
        if self.unsupported:
            raise cv2.error(OPENCV)
        self.asked[name] = value
        return True

    def get(self, name: int) -> float:
        if name == cv2.CAP_PROP_POS_MSEC:
            stamp_ms = 1000 * (self.began_s + self.reads / self.fps)
            return stamp_ms if self.stamp_ms is None else self.stamp_ms
        return {cv2.CAP_PROP_FRAME_WIDTH: 320, cv2.CAP_PROP_FRAME_HEIGHT: 240}[name]

    def read(self, image: Any = None) -> tuple[bool, Any]:
        if self.reads:
            self.taken.release()
        self.ticks.acquire(timeout=10)
        self.reads += 1
        if self.broken:
            raise cv2.error(OPENCV)
        pixels = np.empty((240, 320, 3), np.uint8) if image is None else image
        pixels[:] = self.reads
        return not self.empty, pixels

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
def node(tmp_path: Path) -> Path:
    node = tmp_path / "video7"
    node.touch()
    return node


@pytest.fixture
def usb(v4l2: V4L2, node: Path) -> Iterator[UsbCamera]:
    camera = UsbCamera(str(node), 640, 480, 30)
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
    with pytest.raises(CameraError, match=r"video7: no frame within 0\.05 s$"):
        usb.read(0.05)


@pytest.mark.parametrize("fault", ["empty", "broken"])
def test_a_frame_that_can_t_be_read_is_a_dropped_frame(
    v4l2: V4L2, usb: UsbCamera, fault: str
) -> None:
    for number in (2, 4):
        setattr(v4l2, fault, True)
        v4l2.give()
        setattr(v4l2, fault, False)
        v4l2.give()
        frame = usb.read(5.0)
        assert frame is not None
        assert frame.pixels[0, 0, 0] == number
    assert usb.frames_dropped == 2


@pytest.mark.parametrize("fault", ["empty", "broken"])
def test_frames_that_can_t_be_read_for_long_are_a_fault_in_plain_words(
    v4l2: V4L2, usb: UsbCamera, fault: str
) -> None:
    setattr(v4l2, fault, True)
    v4l2.give(3)
    with pytest.raises(CameraError, match=r"no frame within 0\.2 s: \d+ in a row can't be read$"):
        usb.read(0.2)


def test_a_device_that_fails_at_once_is_not_asked_without_a_pause(
    v4l2: V4L2, usb: UsbCamera
) -> None:
    v4l2.empty = True
    v4l2.ticks.release(1000)
    with pytest.raises(CameraError, match="no frame"):
        usb.read(0.5)
    assert 2 < usb.frames_dropped <= 0.5 * 30 + 1


def test_a_usb_camera_that_is_unplugged_ends_in_an_error_at_once(
    v4l2: V4L2, usb: UsbCamera, node: Path
) -> None:
    node.unlink()
    v4l2.empty = True
    v4l2.ticks.release()
    for _ in range(2):
        with pytest.raises(CameraError, match=r"video7: the camera has been unplugged$"):
            usb.read(5.0)


def test_opencv_s_own_text_is_no_reason(v4l2: V4L2) -> None:
    v4l2.unsupported = True
    with pytest.raises(CameraError, match=r"/dev/video7: can't be used as a V4L2 camera$"):
        UsbCamera("/dev/video7", 640, 480, 30).start()


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


# Whoever is slow gets fresh frames: those that came meanwhile are counted, not queued


@pytest.mark.parametrize("behind", [2, 7])
def test_a_usb_camera_queues_nothing(v4l2: V4L2, usb: UsbCamera, behind: int) -> None:
    for step in range(1, 4):
        v4l2.give(behind)
        frame = usb.read(5.0)
        assert frame is not None
        assert frame.pixels[0, 0, 0] == step * behind
        assert usb.frames_dropped == step * (behind - 1)
