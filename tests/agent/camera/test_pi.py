"""A Pi's own camera, on a stand-in of picamera2: one request is a frame, and no wait is endless."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.camera.pi import PiCamera, _unpadded
from agent.errors import CameraError
from tests.standins.picamera2 import Picamera2, i420, padded


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Picamera2]]:
    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=Picamera2))
    monkeypatch.setattr(Picamera2, "instances", [])
    monkeypatch.setattr(Picamera2, "gate", threading.Event())
    yield Picamera2
    Picamera2.gate.set()


def test_a_pi_s_camera_gives_i420_at_the_sensor_s_own_time(pi: type[Picamera2]) -> None:
    camera = PiCamera(640, 480, 30)
    camera.start()
    (device,) = pi.instances
    device.stamps_s = [123.456789]
    frame = camera.read(2.5)
    assert frame is not None
    assert frame.time_s == pytest.approx(123.456789)
    assert (frame.layout, frame.width, frame.height) == ("yuv420", 640, 480)
    np.testing.assert_array_equal(frame.pixels, i420(640, 480))
    assert device.waits == [2.5]
    assert device.released == 1


def test_a_pi_s_camera_keeps_the_frame_rate_and_measures_the_small_stream(
    pi: type[Picamera2],
) -> None:
    camera = PiCamera(640, 480, 25)
    (device,) = pi.instances
    configuration = device.configuration
    assert configuration["controls"] == {"FrameDurationLimits": (40000, 40000)}
    assert configuration["lores"] == {"size": (640, 480), "format": "YUV420"}
    assert configuration["main"]["size"] == (1280, 960)
    for _ in range(3):  # picamera2 forgets them with each start
        camera.start()
        camera.stop()
    assert device.durations_us == [(40000, 40000)] * 3


@given(
    width=st.integers(4, 40).map(lambda n: 2 * n),
    height=st.integers(4, 30).map(lambda n: 2 * n),
    padding=st.integers(0, 20).map(lambda n: 2 * n),
)
def test_a_stride_that_is_rounded_up_is_cropped_in_every_plane(
    width: int, height: int, padding: int
) -> None:
    picture = i420(width, height)
    cropped = _unpadded(padded(picture, width + padding), width, height)
    np.testing.assert_array_equal(cropped, picture)
    assert cropped.flags.c_contiguous


def test_a_camera_that_has_no_i420_is_refused_and_released(
    pi: type[Picamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pi, "pixel_format", "NV12")
    with pytest.raises(CameraError, match="expected pictures in YUV420, found NV12"):
        PiCamera(640, 480, 30)
    assert pi.instances[0].calls == ["close"]


def test_gaps_in_the_sensor_s_time_are_dropped_frames(pi: type[Picamera2]) -> None:
    camera = PiCamera(64, 48, 30)
    camera.start()
    pi.instances[0].stamps_s = [n / 30 + 0.002 * (n % 2) for n in (0, 1, 2, 5, 6, 8)]
    for _ in range(6):
        camera.read(1.0)
    assert camera.frames_dropped == 3
    camera.stop()
    camera.start()
    assert camera.frames_dropped == 0
    pi.instances[0].stamps_s = [100.0]
    camera.read(1.0)
    assert camera.frames_dropped == 0


def test_a_time_that_can_t_be_true_is_no_millions_of_dropped_frames(pi: type[Picamera2]) -> None:
    camera = PiCamera(64, 48, 30)
    camera.start()
    pi.instances[0].stamps_s = [1.0, 1_767_225_600.0]
    for _ in range(2):
        camera.read(1.0)
    assert camera.frames_dropped == 0


def test_a_pi_s_camera_that_hangs_ends_in_an_error(pi: type[Picamera2]) -> None:
    camera = PiCamera(64, 48, 30)
    camera.start()
    (device,) = pi.instances
    device.stamps_s = [1.0]
    camera.read(0.5)
    with pytest.raises(CameraError, match=r"no frame within 0\.5 s"):
        camera.read(0.5)
    camera.stop()  # which would wait behind the frame that never comes, had that not been given up
    assert device.calls == ["start", "cancel_all_and_flush", "stop"]


def test_a_call_that_never_comes_back_ends_in_an_error_all_the_same(
    pi: type[Picamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.camera.pi.GRACE_S", 0.05)
    camera = PiCamera(64, 48, 30)
    camera.start()
    monkeypatch.setattr(pi, "hangs", frozenset(["capture_request"]))
    with pytest.raises(CameraError, match=r"did not deliver a frame within 0\.1 s"):
        camera.read(0.05)
    camera.stop()
    assert pi.instances[0].calls == ["start", "stop"], "by another thread than the one that hangs"


def test_a_frame_that_is_lost_is_given_back_and_an_error(pi: type[Picamera2]) -> None:
    camera = PiCamera(64, 48, 30)
    camera.start()
    pi.instances[0].stamps_s = [1.0]
    pi.instances[0].faulty = True
    with pytest.raises(CameraError, match="buffer lost"):
        camera.read(0.5)
    assert pi.instances[0].released == 1


@pytest.mark.parametrize("call", ["start", "stop", "close"])
def test_no_call_to_a_pi_s_camera_waits_for_ever(
    pi: type[Picamera2], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr("agent.camera.pi.STOP_TIMEOUT_S", 0.05)
    monkeypatch.setattr("agent.camera.pi.OPEN_TIMEOUT_S", 0.05)
    camera = PiCamera(64, 48, 30)
    monkeypatch.setattr(pi, "hangs", frozenset([call]))
    with pytest.raises(CameraError, match=f"did not {call} within"):
        getattr(camera, call)()


@pytest.mark.parametrize("call", ["start", "stop", "close"])
def test_a_fault_of_a_pi_s_camera_is_passed_on(pi: type[Picamera2], call: str) -> None:
    camera = PiCamera(64, 48, 30)
    pi.instances[0].faulty = True
    with pytest.raises(CameraError, match=f"{call} failed"):
        getattr(camera, call)()


def test_a_pi_s_camera_is_opened_once_and_started_for_each_session(pi: type[Picamera2]) -> None:
    before = set(threading.enumerate())
    camera = PiCamera(64, 48, 30)
    for _ in range(3):
        camera.start()
        camera.stop()
    camera.close()
    assert len(pi.instances) == 1
    assert pi.instances[0].calls == ["start", "stop"] * 3 + ["close"]
    until_s = time.monotonic() + 5
    while set(threading.enumerate()) - before:
        assert time.monotonic() < until_s, "nothing is left behind"
        time.sleep(0.01)


def test_without_a_camera_or_picamera2_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match="expected the system package python3-picamera2"):
        PiCamera(640, 480, 30)

    def none_connected() -> None:
        raise IndexError("list index out of range")

    module = SimpleNamespace(Picamera2=none_connected)
    monkeypatch.setitem(sys.modules, "picamera2", module)
    with pytest.raises(CameraError, match="can't be opened: list index"):
        PiCamera(640, 480, 30)


def test_picamera2_is_imported_only_when_it_is_chosen() -> None:
    code = "import agent.capture, sys; sys.exit('picamera2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("behind", [2, 7])
def test_a_pi_s_camera_counts_what_nobody_took(pi: type[Picamera2], behind: int) -> None:
    camera = PiCamera(64, 48, 30)
    camera.start()
    pi.instances[0].stamps_s = [step * behind / 30 for step in range(10)]
    for _ in range(10):
        camera.read(1.0)
    assert camera.frames_dropped == 9 * (behind - 1)
