"""Made-up copies of each public data set, measured from the pictures to the score."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.public import main as public
from bench.public.formats import (
    find,
)
from scripts.portrait import LidMovement, Portrait, Schedule, write_video
from tests.bench.labels import rows, states, write_tag, write_times, write_vt

SCHEDULE = Schedule(tuple(LidMovement(start_s, 0.25) for start_s in (4.0, 6.0, 8.0)))
SECONDS, FPS = 10.0, 30.0
FRAMES = round(SECONDS * FPS)
MARGIN = 2
"""Annotators mark a blink from its first movement on, the truth from half way down."""


@pytest.fixture(scope="module")
def copies(portrait: Portrait, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EyeBlink8, TalkingFace as images, Researcher's Night and Faithfull: ten seconds of each."""
    folder = tmp_path_factory.mktemp("public")
    blinks = [(first - MARGIN, last + MARGIN) for first, last in SCHEDULE.truth(FPS)]
    made = folder / "made.avi"
    write_video(made, portrait, SCHEDULE, seconds=SECONDS, fps=FPS)
    eyeblink8 = folder / "eyeblink8" / "1" / "26122013_223310_cam.tag"
    night = folder / "NightOfResearchers30" / "test" / "14" / "26092014_182857_cam.tag"
    for tag in (eyeblink8, night):
        write_tag(tag, rows(FRAMES, blinks), "\r\n")
        write_times(tag.with_suffix(".txt"), FRAMES, 1 / FPS)
        shutil.copy(made, tag.with_suffix(".avi"))
    talking = write_tag(folder / "talkingFace" / "talking.tag", rows(FRAMES, blinks))
    write_times(talking.with_suffix(".txt"), FRAMES, 1 / FPS)
    write_images(made, talking.parent / "images")
    write_vt(folder / "blinks" / "1.avi.vt", states(FRAMES, blinks))
    shutil.move(made, folder / "blinks" / "1.avi")
    return folder


def write_images(video: Path, folder: Path) -> None:
    folder.mkdir()
    capture = cv2.VideoCapture(str(video))
    for frame in range(FRAMES):
        ok, pixels = capture.read()
        assert ok
        cv2.imwrite(str(folder / f"franck_{frame:05}.jpg"), np.asarray(pixels, np.uint8))
    capture.release()


@pytest.mark.slow
def test_every_blink_of_a_copy_of_each_data_set_is_found(model_cache: Path, copies: Path) -> None:
    table = public.board(*public.measure(find(copies), python=None))
    assert table["left_out"] == {}
    assert list(table["data_sets"]) == [
        "EyeBlink8", "TalkingFace", "Researcher's Night, 30 fps", "Faithfull"
    ]  # fmt: skip
    for each in table["data_sets"].values():
        assert each["blinks"] == len(SCHEDULE)
        assert each["frames"] == FRAMES
        assert each["rules"]["Blinklog"]["found"] == len(SCHEDULE)
        assert each["rules"]["Blinklog"]["false"] == 0


def test_an_image_that_is_none_is_said(tmp_path: Path) -> None:
    write_tag(tmp_path / "talking.tag", rows(3))
    (tmp_path / "franck_00000.jpg").write_text("no picture")
    _, left_out = public.measure(find(tmp_path), python=None)
    assert "expected an image, found something else" in left_out["talking"]


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    write_tag(tmp_path / "talking.tag", rows(3))
    for number, width in enumerate((64, 64, 62)):
        cv2.imwrite(str(tmp_path / f"franck_{number:05}.jpg"), np.zeros((48, width, 3), np.uint8))
    _, left_out = public.measure(find(tmp_path), python=None)
    assert "franck_00002.jpg: expected 64x48 pixels, found 62x48" in left_out["talking"]
