"""`doctor` on the camera, the face in its picture and the models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from agent.capture import ReplayCamera, UsbCamera
from agent.cli import doctor as cli_doctor
from agent.config import AgentConfig, CameraConfig
from agent.errors import ModelError
from agent.health import check_camera
from agent.health.doctor import ok
from scripts.portrait import Portrait, Schedule, write_video


def test_a_working_camera_is_ok(video: Path) -> None:
    wanted = CameraConfig(source="replay", file=video)
    finding = check_camera.camera(wanted, lambda: ReplayCamera(video), None)
    assert finding.state == "ok"
    assert "160x120, first frame after" in finding.found


@pytest.mark.parametrize(("code", "degrees"), [
    (cv2.ROTATE_180, 180), (cv2.ROTATE_90_CLOCKWISE, 270), (cv2.ROTATE_90_COUNTERCLOCKWISE, 90),
])  # fmt: skip
def test_an_upside_down_camera_is_reported_with_the_setting(
    tmp_path: Path, portrait: Portrait, new_tracker: Callable[[], Any], code: int, degrees: int
) -> None:
    path, picture = tmp_path / "turned.avi", cv2.rotate(portrait.frame(1.0), code)
    size = picture.shape[1], picture.shape[0]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, size)
    for _ in range(8):
        writer.write(picture)
    writer.release()
    wanted = CameraConfig(source="replay", file=path)
    finding = check_camera.camera(wanted, lambda: ReplayCamera(path), None, new_tracker)
    assert finding.state == "bad"
    assert finding.hint == f"set [camera] rotate to {degrees}"


def test_an_upright_face_and_an_empty_picture_are_both_ok(
    video: Path, tmp_path: Path, portrait: Portrait, new_tracker: Callable[[], Any]
) -> None:
    upright = tmp_path / "upright.avi"
    write_video(upright, portrait, Schedule(()), seconds=0.5)
    for path, said in ((upright, "a face in it, upright"), (video, "no face in it now")):
        wanted = CameraConfig(source="replay", file=path)
        finding = check_camera.camera(
            wanted, lambda path=path: ReplayCamera(path), None, new_tracker
        )
        assert finding.state == "ok"
        assert said in finding.found


def test_an_unavailable_camera_is_reported_with_a_hint(tmp_path: Path) -> None:
    wanted = CameraConfig(source="usb", device=str(tmp_path / "video0"))
    finding = check_camera.camera(wanted, lambda: UsbCamera(wanted.device, 640, 480, 30), None)
    assert finding.state == "bad"
    assert "can't be opened" in finding.found
    assert "plugged in" in str(finding.hint)


def test_a_camera_in_use_by_watch_is_not_opened() -> None:
    def never() -> Any:
        raise AssertionError("it would be taken from watch")

    finding = check_camera.camera(CameraConfig(), never, 1234)
    assert finding == ok("picamera2: in use by blink-agent watch (process 1234)")


def test_inference_is_timed_against_the_frame_rate(model_cache: Path) -> None:
    finding = check_camera.model(model_cache, 1, 15)
    assert finding.state == "ok"
    assert "the whole face takes" in finding.found
    assert "at 15 fps has 66.7 ms" in finding.found
    slow = check_camera.model(model_cache, 1, 100_000)
    assert slow.state == "bad"
    assert "set [camera] fps to" in str(slow.hint)


def test_missing_models_have_a_hint_to_fetch_them(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        check_camera.model(tmp_path, 1, 30)
    checks = {check.name: check for check in cli_doctor.checks(AgentConfig())}
    assert "models fetch" in checks["model"].hint
