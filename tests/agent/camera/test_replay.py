"""A video in place of a camera: read to its end, what is lost is counted, bad files are refused."""

import contextlib
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.capture import ReplayCamera, open_camera
from agent.config import CameraConfig
from agent.errors import CameraError
from tests.agent.camera.films import FPS, FRAMES, Clock, frames_of, numbers, write
from tests.agent.videos import damaged

INPUTS = Path(__file__).parents[1] / "inputs"

# A video in place of a camera


def test_a_replay_gives_every_frame_once_in_order_at_its_own_time(film: Path) -> None:
    camera = ReplayCamera(film)
    frames = frames_of(camera)
    assert numbers(frames) == list(range(FRAMES))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(FRAMES) / FPS, atol=1e-6)
    assert {(f.width, f.height, f.layout) for f in frames} == {(64, 48, "bgr")}
    assert (camera.width, camera.height, camera.fps) == (64, 48, FPS)
    assert camera.frames_dropped == 0


def test_pictures_that_nobody_holds_need_the_memory_of_two(film: Path) -> None:
    camera = ReplayCamera(film, loop=True)
    camera.start()
    places = set()
    for _ in range(3 * FRAMES):  # several openings of the file
        frame = camera.read(5.0)
        assert frame is not None
        places.add(frame.pixels.ctypes.data)
    assert len(places) <= 2
    camera.close()


def test_a_part_of_a_picture_that_is_held_stays_as_it_was(film: Path) -> None:
    camera = ReplayCamera(film)
    camera.start()
    first = camera.read(5.0)
    assert first is not None
    part, before = first.pixels[10:20, 5:9], first.pixels[10:20, 5:9].copy()
    del first
    for _ in range(FRAMES - 1):
        camera.read(5.0)
    np.testing.assert_array_equal(part, before)


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
        (b"\0\0\0\x01ftypmp42\xff\xff\xff\xff\xff\xff\xff\xff", "truncated"),
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


@pytest.mark.parametrize("share", [0.02, 0.3, 0.8, 0.9])
def test_an_mp4_that_was_cut_is_refused_before_it_is_measured(tmp_path: Path, share: float) -> None:
    content = write(tmp_path / "whole.mp4", 100, code="mp4v").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CameraError, match=r"truncated: expected at least \d+ bytes, found \d+"):
        ReplayCamera(path)


def test_an_mp4_that_was_cut_after_its_tables_is_read(tmp_path: Path) -> None:
    content = write(tmp_path / "whole.mp4", 100, code="mp4v").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(len(content) * 0.99)])
    camera = ReplayCamera(path)
    assert len(frames_of(camera)) == 100
    assert "truncated" in (camera.ends_early or "")


def test_a_video_that_ends_early_is_read_to_its_end_and_says_so(tmp_path: Path) -> None:
    content = write(tmp_path / "whole.avi", 100).read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(content[: len(content) * 6 // 10])
    camera = ReplayCamera(path)
    frames = frames_of(camera)
    assert 50 < len(frames) < 60
    last_s = (len(frames) - 1) / FPS
    assert frames[-1].time_s == pytest.approx(last_s)
    assert camera.ends_early == (
        f"truncated: expected at least {len(content)} bytes, found {len(content) * 6 // 10};"
        f" its last frame is at {last_s:.2f} s"
    )


def test_a_whole_video_does_not_end_early(film: Path) -> None:
    camera = ReplayCamera(film)
    frames_of(camera)
    assert camera.ends_early is None


def test_a_clip_with_its_index_first_that_was_cut_is_read_to_its_end(
    clips: Path, tmp_path: Path
) -> None:
    content = (clips / "WolfgangLanger_Pexels.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: len(content) // 2])
    camera = ReplayCamera(path)
    assert 200 < len(frames_of(camera)) < 260
    assert "truncated: expected at least 1632292 bytes" in (camera.ends_early or "")


def test_what_is_damaged_in_the_middle_of_a_clip_is_dropped(clips: Path, tmp_path: Path) -> None:
    content = bytearray((clips / "WolfgangLanger_Pexels.mp4").read_bytes())
    content[700_000:1_000_000] = bytes(300_000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    camera = ReplayCamera(path)
    frames = frames_of(camera)
    assert frames[-1].time_s == pytest.approx(471 * 1001 / 24000, abs=0.001)
    assert 60 < camera.frames_dropped < 150
    assert len(frames) + camera.frames_dropped == pytest.approx(472, abs=1)
    assert camera.ends_early is None


def test_a_file_that_was_laid_out_whole_but_never_filled_ends_early(
    clips: Path, tmp_path: Path
) -> None:
    """As a download is that reserves its room first."""
    content = bytearray((clips / "WolfgangLanger_Pexels.mp4").read_bytes())
    content[700_000:] = bytes(len(content) - 700_000)
    path = tmp_path / "begun.mp4"
    path.write_bytes(content)
    camera = ReplayCamera(path)
    assert 150 < len(frames_of(camera)) < 260
    assert "frames are missing: expected frames until 19.56 s" in (camera.ends_early or "")


@pytest.mark.parametrize("bad", [{8, 9}, {0}, {3, 7, 15}, set(range(1, 18))])
@pytest.mark.parametrize("realtime", [False, True])
def test_a_picture_that_can_not_be_decoded_is_a_dropped_frame(
    tmp_path: Path, clock: "Clock", bad: set[int], realtime: bool
) -> None:
    camera = ReplayCamera(damaged(write(tmp_path / "film.avi"), bad), realtime=realtime)
    frames = frames_of(camera)
    good = [number for number in range(FRAMES) if number not in bad]
    assert numbers(frames) == good
    np.testing.assert_allclose(
        [frame.time_s for frame in frames], (np.array(good) - good[0]) / FPS, atol=1e-6
    )
    assert camera.frames_dropped == len(bad)
    assert camera.ends_early is None


def test_pictures_missing_at_the_end_are_said_and_are_no_dropped_frames(tmp_path: Path) -> None:
    path = damaged(write(tmp_path / "film.avi", 60), {10, *range(40, 60)})
    camera = ReplayCamera(path)
    assert len(frames_of(camera)) == 39
    assert camera.frames_dropped == 1
    assert camera.ends_early == (
        "frames are missing: expected frames until 2.36 s; its last frame is at 1.56 s"
    )


def test_a_long_stretch_that_can_not_be_decoded_is_passed_over(tmp_path: Path) -> None:
    path = damaged(write(tmp_path / "film.avi", 1000), set(range(100, 900)))
    camera = ReplayCamera(path)
    assert len(frames_of(camera)) == 200
    assert camera.frames_dropped == 800


def test_a_video_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    path = damaged(write(tmp_path / "film.avi"), set(range(FRAMES)))
    with pytest.raises(CameraError, match="no frame in it can be decoded"):
        frames_of(ReplayCamera(path))


@pytest.mark.parametrize("name", ["trimmed.mp4", "later.mkv", "sound.mkv", "stays.mp4"])
def test_what_a_player_plays_to_its_end_is_read_to_its_end(name: str) -> None:
    """Edit lists, times that begin later, sound that goes on, a picture that stays."""
    camera = ReplayCamera(INPUTS / name)
    frames = frames_of(camera)
    first = 20 if name == "trimmed.mp4" else 0
    grey = [10 * (number + first) % 250 for number in range(20)]
    assert [float(frame.pixels.mean()) for frame in frames] == pytest.approx(grey, abs=3)
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(20) / 25, atol=0.001)
    assert (camera.frames_dropped, camera.ends_early) == (0, None)
    assert camera.fps == pytest.approx(25, rel=0.01)


@pytest.mark.parametrize("name", ["trimmed.mp4", "later.mkv", "sound.mkv", "stays.mp4"])
def test_a_part_of_it_ends_early_or_can_not_be_read(tmp_path: Path, name: str) -> None:
    content = (INPUTS / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: len(content) * 9 // 10])
    if name.endswith("mp4"):  # the index, which comes last, is missing
        with pytest.raises(CameraError, match="truncated: expected at least"):
            ReplayCamera(path)
    else:
        camera = ReplayCamera(path)
        frames_of(camera)
        assert "truncated" in (camera.ends_early or "")


# A bare stream, which has no times


def jpegs(path: Path, bad: int | None = None) -> Path:
    """Pictures one after the other, as rpicam-vid writes them; one of them may be empty."""
    pictures = []
    for number in range(FRAMES):
        grey = np.full((48, 64, 3), 10 * number % 250, np.uint8)
        picture = cv2.imencode(".jpg", grey)[1].tobytes()
        pictures.append(picture[:2] + picture[-2:] if number == bad else picture)
    path.write_bytes(b"".join(pictures))
    return path


@pytest.fixture(params=["h264", "mjpeg"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bare stream of 20 pictures."""
    return INPUTS / "bare.h264" if request.param == "h264" else jpegs(tmp_path / "bare.mjpeg")


def test_a_bare_stream_is_refused_without_a_rate(bare: Path) -> None:
    with pytest.raises(CameraError, match=r"raw stream: .*replay --fps N"):
        ReplayCamera(bare)


def test_a_bare_stream_in_place_of_a_camera_is_refused(bare: Path) -> None:
    """`camera.fps` is how many are wanted, and has a default: it says nothing about a file."""
    with pytest.raises(CameraError, match="raw stream"):
        open_camera(CameraConfig("replay", file=bare, fps=30))


@pytest.mark.parametrize("rate", [15, 60, 29.97, 500])
def test_a_bare_stream_comes_at_the_rate_that_is_given(bare: Path, rate: float) -> None:
    camera = ReplayCamera(bare, rate=rate)
    frames = frames_of(camera)
    assert numbers(frames) == list(range(FRAMES))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(FRAMES) / rate, atol=1e-9)
    assert camera.fps == pytest.approx(rate)
    assert (camera.frames_dropped, camera.ends_early) == (0, None)


def test_a_damaged_picture_of_a_bare_stream_keeps_its_turn(tmp_path: Path) -> None:
    camera = ReplayCamera(jpegs(tmp_path / "bare.mjpeg", bad=5), rate=10)
    frames = frames_of(camera)
    assert numbers(frames) == [number for number in range(FRAMES) if number != 5]
    assert [round(10 * frame.time_s) for frame in frames] == numbers(frames)
    assert camera.frames_dropped == 1


@pytest.mark.parametrize("name", ["trimmed.mp4", "later.mkv"])
def test_a_rate_for_a_video_with_times_is_refused(name: str) -> None:
    with pytest.raises(CameraError, match="has timestamps: leave out --fps"):
        ReplayCamera(INPUTS / name, rate=30)


@pytest.mark.parametrize("rate", [0, -30, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(bare: Path, rate: float) -> None:
    with pytest.raises(CameraError, match="expected a positive frame rate"):
        ReplayCamera(bare, rate=rate)


# Names


@pytest.mark.parametrize(
    "name", ["2026-11-22T10:15:30.avi", "./10:15.avi", "file:x.avi", "http:x.avi", "a b?&#%d.avi"]
)
def test_any_name_will_do(film: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(film, tmp_path / name)
    with contextlib.chdir(tmp_path):
        assert len(frames_of(ReplayCamera(Path(name)))) == FRAMES


def test_a_name_that_opencv_crashes_on_is_refused(film: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.avi")
    shutil.copy(film, path)
    with pytest.raises(CameraError, match="expected a name in UTF-8"):
        ReplayCamera(path)
