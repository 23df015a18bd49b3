"""A USB camera on the real OpenCV, with V4L2 played by a library in front of the C library."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

STANDIN = Path(__file__).parents[2] / "standins" / "v4l2.c"
LOOK = """
import sys
from agent.camera.usb import UsbCamera
from agent.errors import CameraError
camera = UsbCamera(sys.argv[1], 320, 240, 30)
camera.start()
try:
    seen = [camera.read(3.0) for _ in range(int(sys.argv[2]))]
    print(len(seen), all(frame.pixels.shape == (240, 320, 3) for frame in seen))
    print(max(b.time_s - a.time_s for a, b in zip(seen, seen[1:])) < 0.5, camera.frames_dropped)
except CameraError as error:
    print(str(error).removeprefix(sys.argv[1]))
camera.close()
"""


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the stand-in of V4L2")
    library = tmp_path_factory.mktemp("v4l2") / "v4l2.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", library, STANDIN, "-ldl"]
    subprocess.run(command, check=True)
    return library


PICTURE = cv2.imencode(".jpg", np.full((240, 320, 3), 128, np.uint8))[1].tobytes()
EMPTY, FAILS = b"", b"!"


def looked(standin: Path, folder: Path, contents: list[bytes], count: int) -> list[str]:
    """What a process says that reads `count` frames of a camera with these buffers, in turn."""
    for number, content in enumerate(contents):
        (folder / f"{number:04}.jpg").write_bytes(content)
    device = folder / "video42"
    device.touch()
    fake = {"FAKE_V4L2_DEVICE": str(device), "FAKE_V4L2_FRAMES": str(folder)}
    run = subprocess.run(
        [sys.executable, "-c", LOOK, device, str(count)],
        env={**os.environ, **fake, "LD_PRELOAD": str(standin)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout.splitlines()


def test_an_empty_buffer_is_a_dropped_frame(standin: Path, tmp_path: Path) -> None:
    """More of them than there are buffers: none may be lost with its frame."""
    whole, dropped = looked(standin, tmp_path, [*[PICTURE] * 4, EMPTY], 40)
    assert whole == "40 True"
    assert dropped.split()[0] == "True"
    assert int(dropped.split()[1]) >= 9


def test_a_buffer_that_the_driver_can_t_give_costs_no_other(standin: Path, tmp_path: Path) -> None:
    whole, in_time = looked(standin, tmp_path, [*[PICTURE] * 4, FAILS], 40)
    assert whole == "40 True"
    assert in_time.split()[0] == "True"


def test_a_camera_with_only_empty_buffers_is_a_fault_in_plain_words(
    standin: Path, tmp_path: Path
) -> None:
    (said,) = looked(standin, tmp_path, [EMPTY], 1)
    assert re.fullmatch(r": no frame within 3 s: \d+ in a row can't be read", said)
