"""Traces on disk: reading, refusals, and frame numbers from times."""

import csv
import io
import re
from pathlib import Path

import pytest

from agent.errors import AgentError, TraceError
from agent.offline.trace import TraceWriter, blink_rows, new_trace, read_trace
from agent.records import Blink, EyeSample


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace.csv"


def refusal(path: Path, text: str, fps: float = 30.0) -> str:
    path.write_text(text)
    with pytest.raises(TraceError) as refused:
        read_trace(path, fps)
    return str(refused.value)


def test_frames_are_timed_by_the_rate(trace: Path) -> None:
    trace.write_text("frame,ear\n0,0.30\n1,0.29\n2,0.28\n")
    read = read_trace(trace, 20)
    assert [each.time_s for each in read.samples] == [0.0, 0.05, 0.1]
    assert [each.ear for each in read.samples] == [0.30, 0.29, 0.28]
    assert read.frames == (0, 1, 2)


def test_times_in_the_file_take_precedence_over_the_rate(trace: Path) -> None:
    trace.write_text("time_s,ear\n1.0,0.30\n1.5,0.29\n")
    read = read_trace(trace, 30)
    assert [each.time_s for each in read.samples] == [1.0, 1.5]
    assert read.frames == (0, 1)


def test_timed_is_whether_the_file_had_times(trace: Path) -> None:
    trace.write_text("frame,time_s,ear\n0,1.0,0.30\n1,1.5,0.29\n")
    assert read_trace(trace, 30).timed
    trace.write_text("frame,ear\n0,0.30\n1,0.29\n")
    assert not read_trace(trace, 30).timed


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("33.3", r"rows 33\.3 apart: are these milliseconds or frame numbers\?"),
        ("1", r"rows 1 apart: are these milliseconds or frame numbers\?"),
        ("0.00045", r"rows 0\.00045 apart: are these minutes\?"),
    ],
)
@pytest.mark.parametrize("rows", [11, 12, 4000])
def test_times_in_another_unit_than_seconds_are_refused(
    trace: Path, step: str, found: str, rows: int
) -> None:
    times = [float(step) * number for number in range(rows)]
    refused = refusal(trace, "time_s,ear\n" + "".join(f"{time_s:.6f},0.3\n" for time_s in times))
    assert re.search(f"line 12: expected times in seconds in time_s, found {found}", refused)


@pytest.mark.parametrize("step", [0.9, 1 / 30, 0.001])
def test_slow_and_fast_cameras_are_read(trace: Path, step: float) -> None:
    trace.write_text("time_s,ear\n" + "".join(f"{step * row},0.3\n" for row in range(100)))
    assert len(read_trace(trace, 30).samples) == 100


def test_a_pause_at_the_beginning_is_no_other_unit(trace: Path) -> None:
    times = [0.0, 100.0, 200.0, *(200 + row / 30 for row in range(1, 20))]
    trace.write_text("time_s,ear\n" + "".join(f"{time_s},0.3\n" for time_s in times))
    assert len(read_trace(trace, 30).samples) == len(times)


def test_microseconds_are_refused_with_a_hint(trace: Path) -> None:
    refused = refusal(trace, "time_s,ear\n0,0.3\n33333333,0.3\n")
    assert "at most a day" in refused
    assert "(is time_s in seconds?)" in refused


def test_missing_frame_numbers_are_dropped_frames(trace: Path) -> None:
    trace.write_text("frame,ear\n10,0.3\n14,0.3\n")
    read = read_trace(trace, 10)
    assert [each.time_s for each in read.samples] == [1.0, 1.4]
    assert read.frames == (10, 14)


@pytest.mark.parametrize("nothing", ["", " ", "nan", "NaN"])
def test_no_ear_is_no_face(trace: Path, nothing: str) -> None:
    trace.write_text(f"frame,ear\n0,{nothing}\n1,0.3\n")
    assert read_trace(trace, 30).samples[0].ear is None


def test_both_eyes_and_the_score_are_read_and_other_columns_ignored(trace: Path) -> None:
    trace.write_text("note,ear,frame,ear_left,ear_right,face_score\nx,0.3,0,0.31,0.29,0.9\n")
    assert read_trace(trace, 30).samples == (EyeSample(0.0, 0.31, 0.29, 0.3, 0.9),)


def test_additions_of_a_spreadsheet_are_accepted(trace: Path) -> None:
    trace.write_bytes("\ufeffframe,ear\r\n0,0.3\r\n1,0.3\r\n\r\n".encode())
    assert len(read_trace(trace, 30).samples) == 2


def test_a_written_trace_reads_back(trace: Path) -> None:
    samples = [
        EyeSample(0.0, 0.31, 0.29, 0.3, 0.99),
        EyeSample(1 / 30, None, 0.28, 0.28, 0.75),
        EyeSample(2 / 30, None, None, None, None),
    ]
    with trace.open("w", newline="") as file:
        writer = TraceWriter(file)
        for frame, each in enumerate(samples):
            writer.write(frame, each)
    read = read_trace(trace, 30)
    assert read.frames == (0, 1, 2)
    for got, wanted in zip(read.samples, samples, strict=True):
        assert got.time_s == pytest.approx(wanted.time_s, abs=1e-6)
        assert got == EyeSample(
            got.time_s, wanted.ear_left, wanted.ear_right, wanted.ear, wanted.score
        )


def test_every_row_is_written_under_the_header() -> None:
    file = io.StringIO()
    TraceWriter(file).write(7, EyeSample(0.25, None, None, None, None))
    assert list(csv.reader(file.getvalue().splitlines())) == [
        ["frame", "time_s", "ear_left", "ear_right", "ear", "face_score", "iris", "lower_lid"],
        ["7", "0.250000", "", "", "", "", "", ""],
    ]


@pytest.mark.parametrize("text", ["", "\n", "   \n"])
def test_an_empty_file_is_refused(trace: Path, text: str) -> None:
    assert "expected a header and rows, found an empty file" in refusal(trace, text)


def test_a_header_without_rows_is_refused(trace: Path) -> None:
    assert "expected rows below the header, found none" in refusal(trace, "frame,ear\n")


@pytest.mark.parametrize("header", ["frame,blink", "ear", "time,ear", "frame,ear,ear"])
def test_a_header_that_lacks_or_doubles_a_column_is_refused(trace: Path, header: str) -> None:
    assert "line 1: expected" in refusal(trace, f"{header}\n0,0.3,0\n")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere\.csv: can't be read: No such file"):
        read_trace(tmp_path / "nowhere.csv", 30)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="can't be read"):
        read_trace(tmp_path, 30)


def test_a_video_is_refused(trace: Path) -> None:
    trace.write_bytes(b"\x00\x00\x00 ftypisom\xff\xfe\x80")
    with pytest.raises(TraceError, match="expected a CSV file in UTF-8"):
        read_trace(trace, 30)


def test_bytes_that_no_csv_holds_are_refused(trace: Path) -> None:
    assert "expected" in refusal(trace, "frame,ear\n0,0.3\n1,\x000.3\n")


def test_a_line_that_never_ends_is_refused(trace: Path) -> None:
    assert "expected a CSV file" in refusal(trace, "frame,ear\n0," + "3" * 200_000 + "\n")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("2", "line 4: expected 3 columns, found 1"),
        ("2,0.2", "line 4: expected 3 columns, found 2"),
        ("2,0.2,0,9", "line 4: expected 3 columns, found 4"),
        ("2,abc,0", "line 4: expected a number or nothing in ear, found 'abc'"),
        ("2,inf,0", "line 4: expected a number or nothing in ear, found 'inf'"),
        ("2,-0.2,0", "line 4: expected an EAR of 0 or more in ear, found '-0.2'"),
        ("x,0.2,0", "line 4: expected a frame number from 0 with up to 15 digits, found 'x'"),
        ("-2,0.2,0", "line 4: expected a frame number from 0 with up to 15 digits, found '-2'"),
        ("9" * 400 + ",0.2,0", "line 4: expected a frame number from 0 with up to 15 digits"),
        ("9" * 5000 + ",0.2,0", "line 4: expected a frame number from 0 with up to 15 digits"),
        ("9" * 15 + ",0.2,0", "line 4: expected at most a day: a time below 86460 s, found"),
        ("1,0.2,0", "line 4: expected a time after 0.033333 s, found 0.033333 s"),
        ("0,0.2,0", "line 4: expected a time after 0.033333 s, found 0.000000 s"),
    ],
)
def test_a_bad_row_is_refused_by_its_line(trace: Path, row: str, complaint: str) -> None:
    assert complaint in refusal(trace, f"frame,ear,blink\n0,0.3,0\n1,0.3,0\n{row}\n3,0.3,0\n")


def test_a_time_that_is_missing_is_refused(trace: Path) -> None:
    complaint = refusal(trace, "time_s,ear\n0.0,0.3\n,0.3\n")
    assert "line 3: expected a time in seconds, found an empty time_s" in complaint


@pytest.mark.parametrize("first", ["0", "1767225600", "-1e308"])
def test_a_time_of_another_day_is_refused_before_memory_grows(trace: Path, first: str) -> None:
    begun = float(first)
    rows = f"{first},0.3\n{begun + 86459},0.3\n" if abs(begun) < 1e12 else f"{first},0.3\n"
    trace.write_text(f"time_s,ear\n{rows}")
    assert read_trace(trace, 30).samples[0].time_s == begun
    complaint = refusal(trace, f"time_s,ear\n{rows}{max(begun, 0) + 86460},0.3\n")
    assert "expected at most a day: a time below" in complaint


def test_a_rate_at_which_a_frame_has_no_time_is_refused(trace: Path) -> None:
    complaint = refusal(trace, "frame,ear\n0,0.3\n999999999999999,0.3\n", fps=1e-300)
    assert "line 3: expected a frame number that gives a finite time at this rate" in complaint


def test_a_blank_line_in_the_middle_is_refused(trace: Path) -> None:
    assert "line 3: expected 2 columns" in refusal(trace, "frame,ear\n0,0.3\n\n1,0.3\n")


@pytest.mark.parametrize("fps", [0.0, -30.0, float("nan"), float("inf")])
def test_an_invalid_rate_is_refused(trace: Path, fps: float) -> None:
    assert "expected a positive frame rate" in refusal(trace, "frame,ear\n0,0.3\n", fps)


def test_a_refusal_is_an_agents_error_and_a_value_error() -> None:
    assert issubclass(TraceError, AgentError)
    assert issubclass(TraceError, ValueError)


def test_blinks_are_named_by_frames_and_long_closures_left_out(trace: Path) -> None:
    trace.write_text("frame,ear\n" + "".join(f"{frame},0.3\n" for frame in range(100, 200)))
    read = read_trace(trace, 30)
    times = [each.time_s for each in read.samples]
    blinks = [
        Blink(times[5], times[11], 0.18, 0.9, complete=True),
        Blink(times[20], times[60], 1.2, 1.0, complete=True, long=True),
        Blink(times[70], times[70], 0.0604, 0.5, complete=False),
    ]
    first, second = blink_rows(blinks, read.samples, read.frames)
    assert first == {
        "first_frame": 105,
        "last_frame": 111,
        "at_s": 3.5,
        "duration_ms": 180,
        "complete": True,
    }
    assert second["first_frame"] == second["last_frame"] == 170
    assert second["duration_ms"] == 60


def test_without_frame_numbers_rows_count_from_0() -> None:
    samples = [EyeSample(5.0 + k / 10, None, None, 0.3, None) for k in range(10)]
    (row,) = blink_rows([Blink(5.2, 5.4, 0.2, 1.0, complete=True)], samples)
    assert (row["first_frame"], row["last_frame"], row["at_s"]) == (2, 4, 5.2)


def test_an_interrupted_trace_leaves_the_old_file(trace: Path) -> None:
    trace.write_text("frame,ear\n0,0.30\n")
    with pytest.raises(AttributeError), new_trace(trace, Path("video.mp4")) as writer:
        writer.write(0, None)  # type: ignore[union-attr, arg-type]
    assert trace.read_text() == "frame,ear\n0,0.30\n"
    assert list(trace.parent.iterdir()) == [trace]


def test_a_complete_trace_replaces_the_old_file(trace: Path) -> None:
    trace.write_text("old")
    with new_trace(trace, Path("video.mp4")) as writer:
        assert writer is not None
        writer.write(0, EyeSample(0.0, 0.3, 0.3, 0.3, 0.99))
    assert [each.ear for each in read_trace(trace, 30).samples] == [0.3]


def test_a_trace_never_replaces_the_video(tmp_path: Path) -> None:
    video = tmp_path / "video.csv"
    video.write_bytes(b"pictures")
    with pytest.raises(AgentError, match="the file that is being read"), new_trace(video, video):
        pass
    assert video.read_bytes() == b"pictures"
