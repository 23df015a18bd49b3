"""The scoreboard on public recordings: made-up copies of each format, whole and broken."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.errors import CameraError, ModelError
from agent.records import EyeSample
from bench.public import main as public
from bench.public.formats import (
    AnnotationError,
    find,
    images_of,
    joined,
    read_tag,
    read_times,
    read_vt,
    video_of,
)
from bench.scoring import Interval, Score
from scripts.portrait import LidMovement, Portrait, Schedule, write_video

HEADER = """\
#eye-blink annotation file version 1.1
#author:  somebody
#glasses: NO
#message start
what a person wrote: 1:2:3:4:5:6:7
#message end
#start
"""
CORNERS = "251:221:247:290:297:288:348:282:409:270:459:267"


def row(frame: int, blink: int = -1, flags: str = "X:X:X:X:X") -> str:
    """`flags` are NF:LE_FC:LE_NV:RE_FC:RE_NV."""
    return f"{frame}:{blink}:{flags}:{CORNERS}"


def rows(frames: int, blinks: Iterable[Interval] = ()) -> list[str]:
    """Of `frames` frames with blinks, the middle of each closed."""
    lines = [row(frame) for frame in range(frames)]
    for number, (first, last) in enumerate(blinks, start=1):
        for frame in range(first, last + 1):
            closed = "X:C:X:C:X" if frame == (first + last) // 2 else "X:X:X:X:X"
            lines[frame] = row(frame, number, closed)
    return lines


def write_tag(path: Path, lines: Sequence[str], end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((HEADER.replace("\n", end) + end.join([*lines, "#end", ""])).encode())
    return path


def write_times(path: Path, frames: int, step_s: float) -> None:
    path.write_text("".join(f"{frame} {frame * step_s:.6f}\n" for frame in range(frames)))


def write_vt(path: Path, states: Sequence[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{state}\r\n" for state in states).encode())
    return path


def states(frames: int, blinks: Iterable[Interval]) -> list[int]:
    """Closed in the middle of each blink, in between at its ends."""
    labels = [0] * frames
    for first, last in blinks:
        labels[first : last + 1] = [1, *[2] * (last - first - 1), 1]
    return labels


# .tag


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_tag_file_has_a_blink_for_each_run_of_one_number(tmp_path: Path, end: str) -> None:
    path = write_tag(tmp_path / "some.tag", rows(60, [(10, 16), (30, 39)]), end)
    annotation = read_tag(path)
    assert annotation.blinks == ((10, 16), (30, 39))
    assert annotation.ignored == ()
    assert (annotation.annotated, annotation.first, annotation.last) == (2, 0, 59)


def test_a_partial_blink_counts_and_so_does_a_face_that_is_not_frontal(tmp_path: Path) -> None:
    lines = rows(30)
    lines[10:14] = [row(frame, 1, "N:X:X:X:X") for frame in range(10, 14)]
    assert read_tag(write_tag(tmp_path / "some.tag", lines)).blinks == ((10, 13),)


def test_rows_may_stand_after_the_end_line(tmp_path: Path) -> None:
    path = tmp_path / "some.tag"
    path.write_text(HEADER + "#end\n" + "\n".join(rows(20, [(5, 9)])))
    assert read_tag(path).blinks == ((5, 9),)


def test_a_byte_order_mark_and_foreign_letters_do_no_harm(tmp_path: Path) -> None:
    path = write_tag(tmp_path / "some.tag", rows(20, [(5, 9)]))
    path.write_bytes(b"\xef\xbb\xbf#author: Vi\xe9t\n" + path.read_bytes())
    assert read_tag(path).blinks == ((5, 9),)


def test_rows_that_are_missing_in_a_blink_belong_to_it(tmp_path: Path) -> None:
    lines = [line for n, line in enumerate(rows(40, [(10, 20)])) if n not in (13, 14)]
    annotation = read_tag(write_tag(tmp_path / "some.tag", lines))
    assert annotation.blinks == ((10, 20),)
    assert annotation.ignored == ()


def test_a_number_that_comes_again_is_another_blink(tmp_path: Path) -> None:
    lines = rows(60, [(10, 14)])
    lines[30:34] = [row(frame, 1) for frame in range(30, 34)]
    assert read_tag(write_tag(tmp_path / "some.tag", lines)).blinks == ((10, 14), (30, 33))
    sparse = [row(frame, 1) for frame in (10, 11, 12, 50, 51, 52)]
    annotation = read_tag(write_tag(tmp_path / "sparse.tag", sparse))
    assert annotation.blinks == ((10, 12), (50, 52))
    assert annotation.ignored == ((13, 49),)


def test_a_double_blink_is_one(tmp_path: Path) -> None:
    annotation = read_tag(write_tag(tmp_path / "some.tag", rows(40, [(10, 14), (15, 20)])))
    assert annotation.blinks == ((10, 20),)
    assert annotation.annotated == 2
    assert joined([(8, 9), (1, 3), (4, 5), (2, 3)]) == [(1, 5), (8, 9)]


def test_what_neither_eye_shows_is_ignored(tmp_path: Path) -> None:
    lines = rows(60, [(10, 14), (30, 34), (50, 54)])
    lines[12] = row(12, 1, "X:X:N:X:N")
    lines[20] = row(20, -1, "X:X:N:X:N")
    lines[32] = row(32, 2, "X:X:N:C:X")  # one eye can be seen
    annotation = read_tag(write_tag(tmp_path / "some.tag", lines))
    assert annotation.blinks == ((30, 34), (50, 54))
    assert annotation.ignored == ((10, 14), (20, 20))
    assert annotation.annotated == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a line #start"),
        (row(0), "expected a line #start"),
        ("#start\n#end\n", "expected a row for each frame"),
        (f"#start\n{row(0)}\n12\tclose\n", r"line 3: expected 19 fields .* found '12\\tclose'"),
        (f"#start\n{row(0)}\n{row(0, 2)}\n", "line 3: expected one row for frame 0"),
        ("#start\nx:1:X:X:X:X:X\n", r"line 2: expected a frame's number .* found 'x and 1'"),
        ("#start\n0:-2:X:X:X:X:X\n", "and a blink's, or -1"),
        ("#start\n999999999999:1:X:X:X:X:X\n", "expected a frame's number below"),
    ],
)
def test_a_tag_file_that_is_none_is_refused_with_what_was_found(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "some.tag"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=says):
        read_tag(path)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="can't be read: No such file"):
        read_tag(tmp_path / "some.tag")


# The video's frames against the labels


def test_labels_beyond_the_video_are_ignored_if_they_are_few(tmp_path: Path) -> None:
    path = write_tag(tmp_path / "some.tag", rows(60, [(10, 14), (52, 57)]))
    labels = read_tag(path).within(56)
    assert labels.blinks == ((10, 14),)
    assert labels.ignored == ((52, 55),)
    assert labels.missing == 4
    with pytest.raises(AnnotationError, match=r"expected a video of 60 frames,.*; found 54"):
        read_tag(path).within(54)


def test_frames_without_labels_are_ignored(tmp_path: Path) -> None:
    path = write_tag(tmp_path / "some.tag", rows(60, [(30, 34)])[20:50])
    labels = read_tag(path).within(80)
    assert labels.blinks == ((30, 34),)
    assert labels.ignored == ((0, 19), (50, 79))


# .txt


def test_times_come_from_the_file_beside(tmp_path: Path) -> None:
    write_times(tmp_path / "some.txt", 98, 0.04)
    times = read_times(tmp_path / "some.txt", 100)
    assert times == pytest.approx([0.04 * frame for frame in range(100)])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected the times of frames 0, 1, 2"),
        ("1 0.0\n2 0.04\n3 0.08\n", "expected the times of frames 0, 1, 2"),
        ("0 0.0\n1 now\n", "line 2: expected a frame's number and its time, found '1 now'"),
        ("0 0.0\n1 nan\n", "line 2: expected a time in seconds"),
        ("0 0.0 1\n", "line 1: expected a frame's number and its time"),
        ("0 0\n1 40\n2 80\n", "expected times in seconds"),
        ("0 0.0\n1 0.04\n2 0.04\n", "each later than the one before, found steps from 0 on"),
    ],
)
def test_times_that_are_none_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "some.txt"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=says):
        read_times(path, 3)


def test_times_that_end_early_are_refused(tmp_path: Path) -> None:
    write_times(tmp_path / "some.txt", 90, 0.04)
    with pytest.raises(AnnotationError, match="expected 100 times, found 90"):
        read_times(tmp_path / "some.txt", 100)


# .vt


def test_a_vt_file_has_a_blink_for_each_run_that_closes(tmp_path: Path) -> None:
    labels = states(60, [(10, 15), (30, 34)])
    labels[50:53] = [1, 1, 1]
    annotation = read_vt(write_vt(tmp_path / "1.mp4.vt", labels))
    assert annotation.blinks == ((10, 15), (30, 34))
    assert annotation.ignored == ((50, 52),)
    assert (annotation.annotated, annotation.last) == (2, 59)


def test_a_vt_file_may_have_comments(tmp_path: Path) -> None:
    path = tmp_path / "1.mp4.vt"
    path.write_text("# VideoTag\n# Open = 0\n0\n2\n2\n0\n")
    assert read_vt(path).blinks == ((1, 2),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a label for each frame, found none"),
        ("0\n3\n", r"line 2: expected 0 \(open\), 1 \(unclear\) or 2 \(closed\), found '3'"),
    ],
)
def test_a_vt_file_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "1.mp4.vt"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=says):
        read_vt(path)


# Where the files are


@pytest.mark.parametrize(
    ("name", "data_set"),
    [
        ("eyeblink8/eyeblink8/11/27122013_154548_cam.tag", "EyeBlink8"),
        ("3/26122013_230103_cam.tag", "EyeBlink8"),
        ("eyeblink8/talkingFace/talking.tag", "TalkingFace"),
        ("talking.tag", "TalkingFace"),
        ("NightOfResearchers15/val/1/26092014_184528_cam.tag", "Researcher's Night, 15 fps"),
        ("RN/test/rn30/4/26092014_163504_cam.tag", "Researcher's Night, 30 fps"),
        ("RN/4/some.tag", "Researcher's Night"),
        ("26092014_163504_cam.tag", "Researcher's Night"),
        ("blinks/1.mp4.vt", "Faithfull"),
        ("mine/monday.tag", "Other"),
    ],
)  # fmt: skip
def test_a_recording_belongs_to_the_data_set_that_its_path_names(
    tmp_path: Path, name: str, data_set: str
) -> None:
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True)
    path.touch()
    assert [(each.data_set, each.path) for each in find(tmp_path / "data")] == [(data_set, path)]


def test_recordings_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("10/a.tag", "9/a.tag", "talking/talking.tag", "2/26122013_224532_cam.tag"):
        write_tag(tmp_path / name, rows(3))
    names = ["2/26122013_224532_cam", "talking/talking", "9/a", "10/a"]
    assert [each.name for each in find(tmp_path)] == names


def test_the_video_has_the_same_name_or_is_the_only_one(tmp_path: Path) -> None:
    tag = write_tag(tmp_path / "some.tag", rows(3))
    assert video_of(tag) is None
    (tmp_path / "other.MP4").touch()
    assert video_of(tag) == tmp_path / "other.MP4"
    (tmp_path / "some.avi").touch()
    assert video_of(tag) == tmp_path / "some.avi"
    vt = write_vt(tmp_path / "vt" / "1.mp4.vt", [0])
    (vt.parent / "1.mp4").touch()
    (vt.parent / "2.mp4").touch()
    assert video_of(vt) == vt.parent / "1.mp4"


def test_of_images_none_may_be_missing(tmp_path: Path) -> None:
    tag = write_tag(tmp_path / "talking.tag", rows(3))
    for folder, number in ((tmp_path, 10), (tmp_path / "more", 9), (tmp_path, 11)):
        folder.mkdir(exist_ok=True)
        (folder / f"franck_{number:05}.jpg").touch()
    assert [path.stem[-2:] for path in images_of(tag)] == ["09", "10", "11"]
    (tmp_path / "franck_00013.jpg").touch()
    with pytest.raises(AnnotationError, match=r"expected image 12 .* found franck_00013\.jpg"):
        images_of(tag)


# The board, with samples in place of what the camera sees


LOW = [(40, 46), (80, 86), (120, 126)]


def samples(frames: int = 200, low: Iterable[Interval] = LOW, fps: float = 30.0) -> list[EyeSample]:
    ears = [0.3] * frames
    for first, last in low:
        ears[first : last + 1] = [0.1] * (last + 1 - first)
    return [EyeSample(n / fps, ear, ear, ear, 1.0) for n, ear in enumerate(ears)]


def folder_of(tmp_path: Path, name: str, blinks: Iterable[Interval] = LOW) -> Path:
    tag = write_tag(tmp_path / "data" / name, rows(200, blinks))
    tag.with_suffix(".avi").touch()
    return tmp_path / "data"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[EyeSample]:
    """What the camera is to have seen: the test may change it."""
    made = samples()
    monkeypatch.setattr(public, "see", lambda video: made)
    return made


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    words = ["bench.public", "--no-mediapipe", *map(str, arguments)]
    monkeypatch.setattr(sys, "argv", words)
    return public.main()


def test_every_rule_is_scored_by_data_set_and_pooled(
    tmp_path: Path,
    seen: list[EyeSample],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder_of(tmp_path, "eyeblink8/1/26122013_223310_cam.tag")
    folder = folder_of(tmp_path, "talkingFace/talking.tag", [*LOW[:2], (160, 170)])
    assert run(monkeypatch, folder, "--json") == 0
    told = capsys.readouterr()
    table = json.loads(told.out)
    assert list(table["data_sets"]) == ["EyeBlink8", "TalkingFace"]
    assert list(table["pooled"]["rules"]) == list(public.RULES)
    assert table["pooled"]["rules"]["EAR < 0.21 for 3 frames"] == {
        "found": 5, "false": 1, "missed": 1,
        "precision": 0.8333, "recall": 0.8333, "f1": 0.8333,
    }  # fmt: skip
    right = table["data_sets"]["EyeBlink8"]["rules"]
    assert {each["f1"] for each in right.values()} == {1.0}
    assert table["data_sets"]["EyeBlink8"]["blinks"] == 3
    assert table["pooled"]["mediapipe"] is None
    assert table["left_out"] == {}
    assert "[2/2] TalkingFace: talkingFace/talking" in told.err


def test_the_table_is_printed_for_people(
    tmp_path: Path,
    seen: list[EyeSample],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = folder_of(tmp_path, "eyeblink8/1/26122013_223310_cam.tag")
    assert run(monkeypatch, folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "EyeBlink8: 1 recording, 0.1 min, 3 blinks (3 annotated)"
    assert any(line.split() == ["Blinklog", "3", "0", "0", *3 * ["1.000"]] for line in lines)
    assert lines[-1] == "MediaPipe: null"


def test_a_double_blink_that_is_detected_as_two_is_right(
    tmp_path: Path, seen: list[EyeSample], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, "some.tag", [(10, 14), (15, 20)])
    monkeypatch.setattr(public, "RULES", {"two": lambda samples: [(10, 15), (16, 20)]})
    [measured], _ = public.measure(find(folder), python=None)
    assert measured.scores == {"two": Score(true=1)}
    assert measured.annotation.annotated == 2


def test_times_are_those_of_the_txt_file(tmp_path: Path, seen: list[EyeSample]) -> None:
    folder = folder_of(tmp_path, "talking.tag")
    write_times(folder / "talking.txt", 200, 0.04)
    [measured], _ = public.measure(find(folder), python=None)
    assert measured.duration_s == pytest.approx(199 * 0.04)


def test_times_that_cannot_be_are_said_and_not_used(
    tmp_path: Path, seen: list[EyeSample], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "talking.tag")
    (folder / "talking.txt").write_text("0 0\n")
    [measured], _ = public.measure(find(folder), python=None)
    assert measured.duration_s == pytest.approx(199 / 30)
    assert "!! the video's own times are used" in capsys.readouterr().err


def test_one_that_cannot_be_measured_is_left_out_and_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seen: list[EyeSample],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder_of(tmp_path, "1/good.tag")
    folder = folder_of(tmp_path, "2/no_video.tag")
    (folder / "2" / "no_video.avi").unlink()
    write_tag(folder / "3" / "short.tag", rows(300)).with_suffix(".avi").touch()
    (folder / "4").mkdir()
    (folder / "4" / "broken.tag").write_text("#start\n")
    assert run(monkeypatch, folder, "--json") == 0
    told = capsys.readouterr()
    left_out = json.loads(told.out)["left_out"]
    assert list(left_out) == ["2/no_video", "3/short", "4/broken"]
    assert "its frames as images; found neither" in left_out["2/no_video"]
    assert "expected a video of 300 frames" in left_out["3/short"]
    assert "expected a row for each frame" in left_out["4/broken"]
    assert told.err.count("is left out") == 3
    assert run(monkeypatch, folder) == 0
    assert "Left out: 3/short: " in capsys.readouterr().out


def test_a_video_that_breaks_off_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def see(video: Path) -> list[EyeSample]:
        raise CameraError("the video breaks off")

    monkeypatch.setattr(public, "see", see)
    folder = folder_of(tmp_path, "1/some.tag")
    assert run(monkeypatch, folder) == 1
    assert "!! 1/some is left out: the video breaks off" in capsys.readouterr().err


def test_without_models_nothing_is_measured_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def see(video: Path) -> list[EyeSample]:
        raise ModelError("the models are not there")

    monkeypatch.setattr(public, "see", see)
    assert run(monkeypatch, folder_of(tmp_path, "1/some.tag")) == 1
    assert "bench.public: the models are not there" in capsys.readouterr().err


def test_labels_that_leave_much_open_are_said(
    tmp_path: Path, seen: list[EyeSample], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "some.tag")
    write_tag(folder / "some.tag", rows(200, LOW)[:100])
    [measured], _ = public.measure(find(folder), python=None)
    assert measured.scores["EAR < 0.21 for 3 frames"].false == 0
    assert "!! some: 50% of the frames have no label" in capsys.readouterr().err


def test_a_few_labels_beyond_the_video_are_said(
    tmp_path: Path, seen: list[EyeSample], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "some.tag")
    del seen[-3:]
    public.measure(find(folder), python=None)
    assert "the last 3 labels lie beyond the video's 197 frames" in capsys.readouterr().err


def test_fewer_recordings_can_be_asked_for(
    tmp_path: Path,
    seen: list[EyeSample],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("rn15/1/a.tag", "rn15/2/a.tag", "rn15/10/a.tag", "eyeblink8/1/a.tag"):
        folder = folder_of(tmp_path, name)
    assert run(monkeypatch, folder, "--json", "--limit", 2) == 0
    table = json.loads(capsys.readouterr().out)
    assert list(table["recordings"]) == ["eyeblink8/1/a", "rn15/1/a", "rn15/2/a"]
    assert run(monkeypatch, folder, "--json", "--minutes", 0) == 1
    table = json.loads(capsys.readouterr().out)
    assert table["left_out"]["rn15/10/a"] == "not begun within 0 minutes"
    with pytest.raises(SystemExit):
        run(monkeypatch, folder, "--limit", 0)
    assert "expected a number from 1 up" in capsys.readouterr().err


def test_a_folder_without_recordings_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path) == 1
    assert "expected .tag or .vt files below" in capsys.readouterr().err


# MediaPipe


def python_that(does: str, folder: Path) -> Path:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    return script


def test_mediapipe_is_scored_by_the_same_rules(tmp_path: Path, seen: list[EyeSample]) -> None:
    folder = folder_of(tmp_path, "some.tag")
    trace = tmp_path / "trace.csv"
    lines = [f"{n},{each.time_s:.6f},{each.ear}" for n, each in enumerate(samples(low=LOW[:1]))]
    trace.write_text("\n".join(["frame,time_s,ear", *lines]))
    found = public.measure(find(folder), python=python_that(f"cat {trace}", tmp_path))
    rows_of = public.board(*found)["pooled"]["mediapipe"]
    assert len(rows_of) == 2 * len(public.RULES)
    assert rows_of["FaceMesh, refined: EAR < 0.20 for 2 frames"]["found"] == 1
    assert rows_of["FaceMesh: EAR < 0.7 of 10 s median, 2 frames"]["missed"] == 2


@pytest.mark.parametrize("does", ["exit 1", "printf 'frame,time_s,ear\\n0,0.0,0.3\\n'"])
def test_mediapipe_that_fails_is_null_and_loud(
    does: str, tmp_path: Path, seen: list[EyeSample], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "some.tag")
    found = public.measure(find(folder), python=python_that(does, tmp_path))
    table = public.board(*found)
    assert table["pooled"]["mediapipe"] is None
    assert table["pooled"]["rules"]["Blinklog"]["found"] == 3
    assert "!!" in capsys.readouterr().err


# The whole path: a made-up copy of each data set


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
