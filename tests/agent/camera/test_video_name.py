"""File names as people and recorders give them reach FFmpeg whole."""

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest

from agent.camera.video_name import ffmpeg_name
from agent.errors import CameraError
from agent.offline.evidence import gather
from agent.offline.overlay import write_overlay
from agent.records import Frame
from tests.agent.traces import Camera


@pytest.mark.parametrize("name", ["10:15.mp4", "./10:15.mp4", "file:a.mp4"])
def test_a_name_is_made_absolute(tmp_path: Path, name: str) -> None:
    with contextlib.chdir(tmp_path):
        assert ffmpeg_name(Path(name)) == f"{tmp_path}/{Path(name)}"
    assert ffmpeg_name(tmp_path / name) == str(tmp_path / name)


def test_a_name_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(CameraError, match="expected a name in UTF-8: rename the file"):
        ffmpeg_name(Path(os.fsdecode(b"\xff.mp4")))


def test_an_overlay_can_have_any_name(tmp_path: Path) -> None:
    frames = [Frame(number / 30, np.zeros((48, 64, 3), np.uint8)) for number in range(5)]
    evidence = gather(Camera().see([], 5 / 30))
    with contextlib.chdir(tmp_path):
        write_overlay(Path("out-10:15.mp4"), frames, 30.0, evidence, [None] * 5)
    assert (tmp_path / "out-10:15.mp4").stat().st_size > 0
