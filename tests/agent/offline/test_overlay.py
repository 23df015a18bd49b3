"""The overlay video: complete, right in each frame, legible at every size."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.capture import ReplayCamera
from agent.ear import CONTOUR, eye_sample
from agent.errors import AgentError
from agent.face.tracker import FaceTracker
from agent.offline import chart
from agent.offline.canvas import Colour, Image, text_width
from agent.offline.evidence import Evidence, gather
from agent.offline.overlay import AROUND, Lids, draw_overlay, layout_for, write_overlay
from agent.offline.pictures import LidRecorder, pictures
from agent.offline.replay import frames_of
from agent.records import Blink, Frame
from scripts.portrait import LidMovement, Portrait, Schedule, write_video
from tests.agent import traces
from tests.agent.traces import Camera, without_face

BLINKS = [traces.Lids(at_s) for at_s in (2.0, 4.0, 6.0)]
GREY = (90, 90, 90)


def eyes(x: float = 320, y: float = 200, width: float = 40, height: float = 14) -> Lids:
    """Two eyes of sixteen points each, the person's right one around (x - width, y)."""
    turn = np.arange(16) * np.pi / 8
    around = np.stack([-np.cos(turn) * width / 2, np.sin(turn) * height / 2], axis=1)
    eye = np.empty_like(around)
    eye[AROUND] = around
    right, left = np.array([x - width, y]), np.array([x + width, y])
    return np.stack([eye + right, eye + left]).astype(np.float32)


def drawn(
    evidence: Evidence, time_s: float, lids: Lids | None = None, size: tuple[int, int] = (640, 480)
) -> Image:
    """The frame of `time_s`, drawn onto plain grey."""
    image = np.full((size[1], size[0], 3), GREY, np.uint8)
    look = layout_for(*size, evidence, [] if lids is None else [lids])
    number = int(np.searchsorted(evidence.times, time_s))
    draw_overlay(image, number, evidence, lids, look)
    return image


def share(image: Image, paint: Colour, tolerance: int = 12) -> float:
    """The share of pixels of that colour."""
    near = np.abs(image.astype(int) - np.array(paint)).max(axis=2) <= tolerance
    return float(near.mean())


def has(image: Image, paint: Colour) -> bool:
    """Whether a pixel is of that colour."""
    return share(image, paint) > 0


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Three blinks, then a second without a face."""
    return gather(without_face(Camera().see(BLINKS, 12.0), 9.0, 10.0))


def test_lids_are_drawn_where_they_are_and_the_rest_of_the_face_is_left_alone(
    evidence: Evidence,
) -> None:
    lids = eyes()
    image = drawn(evidence, 1.0, lids)
    changed = (image != GREY).any(axis=2)
    look = layout_for(640, 480, evidence, [lids])
    changed[look.top :] = False
    rows, columns = np.nonzero(changed)
    assert abs(columns.min() - 260) <= 3
    assert abs(columns.max() - 380) <= 3
    assert abs(rows.min() - 193) <= 3
    assert abs(rows.max() - 207) <= 3
    for x, y in lids.reshape(-1, 2):
        assert changed[round(float(y)), round(float(x))]
    for eye in lids:
        for x, y in eye[list(CONTOUR)].round().astype(int):
            assert has(image[y - 1 : y + 2, x - 1 : x + 2], chart.INK)


@pytest.mark.parametrize(
    ("depth", "duration_s", "paint"),
    [(0.6, 0.2, chart.COMPLETE), (0.35, 0.2, chart.PARTIAL), (0.6, 1.0, chart.LONG)],
)
def test_lids_and_trace_take_the_colour_of_the_blink_from_its_first_frame_on(
    depth: float, duration_s: float, paint: Colour
) -> None:
    evidence = gather(Camera().see([traces.Lids(8.0, duration_s, depth)], 12.0))
    blink = Blink(8.0, 8.0 + duration_s, duration_s, depth, depth > 0.5, long=duration_s > 0.5)
    evidence = replace(evidence, blinks=(blink,))
    assert not has(drawn(evidence, blink.start_s - 0.1, eyes())[:250], paint)
    begun = drawn(evidence, blink.start_s, eyes())
    assert has(begun[:250], paint)
    assert not has(begun[:250], chart.LEVEL)
    after = drawn(evidence, blink.end_s + 0.1, eyes())
    assert has(after[:250], chart.LEVEL)


def test_the_trace_is_shaded_while_the_blink_goes_on(evidence: Evidence) -> None:
    blink = evidence.blinks[0]
    look = layout_for(640, 480, evidence, [])
    height, now = 480 - 2 * look.margin, 640 - look.margin - 2

    def shade(time_s: float) -> np.ndarray:
        return drawn(evidence, time_s)[height, now].astype(int)

    before, within = shade(blink.start_s - 0.2), shade((blink.start_s + blink.end_s) / 2)
    assert np.ptp(before) < 20  # the dark of the panel
    assert within[2] - within[0] > 60  # orange


def test_a_frame_without_a_face_is_hatched_and_says_so(evidence: Evidence) -> None:
    look = layout_for(640, 480, evidence, [])
    seen, unseen = drawn(evidence, 8.9), drawn(evidence, 9.5)
    right = slice(640 - look.margin - 40, 640 - look.margin)
    strip = slice(look.top + round(4.8 * look.size), 480 - look.margin)
    assert share(seen[strip, right], chart.GAP, 30) < 0.02
    assert share(unseen[strip, right], chart.GAP, 30) > 0.05
    words = slice(look.top, look.top + round(2.2 * look.size))
    assert has(unseen[words, 500:], chart.INK)
    assert not has(seen[words, 500:], chart.INK)


@pytest.mark.parametrize(
    "size", [(320, 240), (640, 360), (360, 640), (1280, 720), (1920, 1080)], ids=str
)
def test_text_is_legible_and_fits_at_every_usual_size(
    size: tuple[int, int], evidence: Evidence
) -> None:
    many = replace(evidence, blinks=evidence.blinks * 12)
    look = layout_for(*size, many, [])
    assert look.size >= max(7.0, min(size) / 60)
    line = "EAR 0.300  open 0.300  0:12.00  frame 359"
    assert text_width(line, look.size) <= size[0] - 2 * look.margin
    assert look.height <= 0.36 * size[1]
    image = drawn(evidence, 5.0, eyes(size[0] / 2, size[1] / 3), size)
    assert (image[: round(size[1] / 5)] == GREY).all()


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (48, 640), (640, 48), (33, 17)], ids=str)
def test_the_smallest_pictures_cause_no_error(size: tuple[int, int], evidence: Evidence) -> None:
    assert drawn(evidence, 2.1, eyes(), size).shape == (size[1], size[0], 3)


def test_the_panel_moves_up_where_it_would_hide_the_eyes(evidence: Evidence) -> None:
    assert layout_for(640, 480, evidence, [eyes(y=200), None]).top > 300
    assert layout_for(640, 480, evidence, [eyes(y=430), None]).top == 0


@pytest.fixture(scope="module")
def blinking(portrait: Portrait, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the portrait at 25 frames a second, with two blinks."""
    path = tmp_path_factory.mktemp("portrait") / "blinking.mp4"
    schedule = Schedule((LidMovement(1.0, 0.25), LidMovement(2.0, 0.3)))
    write_video(path, portrait, schedule, seconds=3, fps=25)
    return path


def measured(video: ReplayCamera, tracker: FaceTracker) -> tuple[Evidence, list[Lids | None]]:
    keeper = LidRecorder(tracker)
    samples = [eye_sample(frame.time_s, keeper.find(frame)) for frame in frames_of(video)]
    return gather(samples), keeper.lids


def test_the_overlay_has_every_frame_at_the_video_s_size_and_rate(
    blinking: Path, new_tracker: Callable[[], FaceTracker], tmp_path: Path
) -> None:
    video = ReplayCamera(blinking)
    evidence, lids = measured(video, new_tracker())
    assert len(evidence.blinks) == 2
    path = tmp_path / "overlay.mp4"
    write_overlay(path, frames_of(video), video.fps, evidence, lids)
    written = ReplayCamera(path)
    frames, originals = list(frames_of(written)), list(frames_of(video))
    assert len(frames) == len(originals) == 75
    assert (written.width, written.height, written.fps) == (640, 480, 25.0)
    look = layout_for(640, 480, evidence, lids)
    for number, (frame, original) in enumerate(zip(frames, originals, strict=True)):
        assert frame.time_s == pytest.approx(original.time_s, abs=0.002)
        apart = np.abs(frame.pixels.astype(int) - original.pixels).max(axis=2)
        assert np.median(apart[: look.top]) < 12  # the face is as it was, but for the encoding
        here = lids[number]
        assert here is not None
        at = np.round(here.reshape(-1, 2)).astype(int)
        assert apart[at[:, 1], at[:, 0]].mean() > 60  # the lids are drawn on it


def plain_frames(count: int, size: tuple[int, int]) -> Iterator[Frame]:
    """Noise, which does not compress."""
    chance = np.random.default_rng(0)
    for number in range(count):
        yield Frame(number / 30, chance.integers(0, 255, (size[1], size[0], 3), np.uint8))


@pytest.mark.parametrize("fps", [14.98765, 29.97003, 100.123])
def test_an_unusual_rate_is_kept_closely(fps: float, evidence: Evidence, tmp_path: Path) -> None:
    path = tmp_path / "rate.mp4"
    write_overlay(path, plain_frames(5, (64, 48)), fps, evidence, [None] * 5)
    video = cv2.VideoCapture(str(path))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(fps, abs=0.005)
    video.release()


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_fails_loudly_and_leaves_nothing_behind(
    blinking: Path, new_tracker: Callable[[], FaceTracker], tmp_path: Path
) -> None:
    video = ReplayCamera(blinking)

    def draw() -> None:
        with pictures(blinking, None, tmp_path / "overlay.mp4") as drawn:
            keeper = drawn.watching(new_tracker())
            samples = [eye_sample(frame.time_s, keeper.find(frame)) for frame in frames_of(video)]
            with room_for(100_000):
                drawn.draw(gather(samples), video)

    with pytest.raises(AgentError, match=r"overlay\.mp4: can't be written: .*expected 75 frames"):
        draw()
    assert list(tmp_path.iterdir()) == []


def test_frames_that_are_missing_in_the_second_pass_are_noticed(
    evidence: Evidence, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="expected 9 frames in it, found 5"):
        write_overlay(tmp_path / "short.mp4", plain_frames(5, (64, 48)), 30.0, evidence, [None] * 9)
