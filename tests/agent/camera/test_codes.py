"""A phone's code is read however it is held, by the camera that measures otherwise."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.camera.codes import CodeReader
from agent.camera.replay import ReplayCamera
from agent.records import Frame
from tests.agent.camera.shown_codes import SERVER, TICKET, WIFI, Held, picture

PATIENCE = 7  # frames: as many as there are corrections, and one more

HELD = {
    "straight": Held(),
    "far": Held(side=130),
    "close": Held(side=440),
    "tilted": Held(side=280, tilt=0.35),
    "turned": Held(turn=45),
    "upside down": Held(turn=180),
    "blurred": Held(side=260, blur=2.5),
    "reflecting": Held(side=260, glare=200),
    "dim": Held(lit=70, dark=45),
    "too bright": Held(lit=255, dark=160),
    "noisy": Held(noise=15),
    "white on black": Held(inverted=True),
    "tilted, turned, blurred, reflecting": Held(side=280, tilt=0.2, turn=15, blur=1.5, glare=100),
}


def read(frames: list[Frame]) -> str | None:
    reader = CodeReader()
    return next(filter(None, map(reader.read, frames)), None)


def shown(text: str, held: Held) -> list[Frame]:
    """As Picamera2 gives it: the picture above the planes of its colours."""
    gray = picture(text, held)
    colours = np.full((gray.shape[0] // 2, gray.shape[1]), 128, np.uint8)
    pixels = np.concatenate([gray, colours])
    return [Frame(number / 4, pixels, "yuv420") for number in range(PATIENCE)]


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
@pytest.mark.parametrize("text", [WIFI, SERVER], ids=["Wi-Fi", "server"])
def test_a_code_is_read_however_the_phone_is_held(text: str, held: Held) -> None:
    assert read(shown(text, held)) == text


def test_what_can_t_be_read_is_no_code() -> None:
    assert read(shown(WIFI, Held(glare=900))) is None
    empty = np.full((480, 640, 3), 90, np.uint8)
    assert read([Frame(0, empty)] * PATIENCE) is None
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    assert read([Frame(0, noise)] * 2) is None


def test_a_camera_that_mirrors_reads_too() -> None:
    mirrored = Frame(0, cv2.cvtColor(picture(WIFI)[:, ::-1], cv2.COLOR_GRAY2BGR))
    assert CodeReader(flip=True).read(mirrored) == WIFI


def test_a_bus_ticket_is_read_as_what_it_is() -> None:
    assert read(shown(TICKET, Held())) == TICKET


@pytest.mark.parametrize("shape", [(480, 640), (481, 641), (120, 160), (1080, 1920)])
def test_a_camera_of_any_size_breaks_nothing(shape: tuple[int, int]) -> None:
    frame = Frame(0, np.zeros((*shape, 3), np.uint8))
    assert read([frame] * PATIENCE) is None


def test_a_video_of_a_phone_that_is_raised_turned_and_taken_away(tmp_path: Path) -> None:
    file = tmp_path / "phone.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 480))
    for number in range(14):
        shake = 4.0 if number < 4 else 1.0  # moving, then held nearly still
        held = Held(side=150 + 10 * number, turn=40 - 2 * number, tilt=0.15, blur=shake, glare=60)
        writer.write(cv2.cvtColor(picture(SERVER, held), cv2.COLOR_GRAY2BGR))
    writer.release()
    camera = ReplayCamera(file)
    camera.start()
    frames = itertools.takewhile(bool, (camera.read(3) for _ in itertools.count()))
    assert read([each for each in frames if each is not None]) == SERVER
    camera.close()
