"""`open_camera` chooses the camera by its source."""

import shutil
import sys
from pathlib import Path

import pytest

from agent.capture import ReplayCamera, open_camera
from agent.config import CameraConfig
from agent.errors import CameraError
from tests.standins import picamera2

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


def test_a_video_that_vanishes_between_sessions_is_an_error(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    shutil.copy(film, path)
    camera = ReplayCamera(path)
    path.unlink()
    with pytest.raises(CameraError, match="No such file"):
        camera.start()
