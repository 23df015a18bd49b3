"""Label files of public recordings: what is a blink, what is refused, which video is theirs."""

from pathlib import Path

import pytest

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
from tests.bench.labels import HEADER, row, rows, states, write_tag, write_times, write_vt

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
