"""The plot of a recording: what was counted can be seen where it was, at two seconds and two hours.

Pixels are looked at where nothing but the thing in question is drawn: just below the upper edge of
a row there are blinks' bands and gaps, and no lines.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.offline.canvas import Colour, Image, colour, text_width
from agent.offline.chart import LIGHT, blink_summary, clock, ear_range
from agent.offline.evidence import Evidence, gather
from agent.offline.plot import MAX_ROWS, WIDTH, plot, sheet_for, summary, write_plot
from agent.records import Blink
from tests.agent.traces import Camera, Lids, sample, without_face

PANEL = np.array(colour("#f7f9fa"))
BLINKS = [Lids(at_s) for at_s in (2.0, 4.0, 6.0, 8.0)]


def seen(
    lids: Sequence[Lids], duration_s: float, gap: tuple[float, float] = (-1.0, -1.0)
) -> Evidence:
    """What is drawn of these lids, counted as they are, whatever the detector makes of them."""
    evidence = gather(without_face(Camera().see(lids, duration_s), *gap))
    blinks = (
        Blink(
            each.at_s,
            each.end_s,
            each.duration_s,
            each.depth,
            complete=each.depth > 0.5,
            long=each.duration_s >= 0.5,
        )
        for each in lids
    )
    return replace(evidence, blinks=tuple(blinks))


def mixed(paint: Colour, opacity: float) -> np.ndarray:
    return PANEL * (1 - opacity) + np.array(paint) * opacity


COMPLETE = mixed(LIGHT.complete, LIGHT.shade)
PARTIAL = mixed(LIGHT.partial, LIGHT.shade_partial)
LONG = mixed(LIGHT.long, LIGHT.shade)


def is_like(pixel: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(pixel.astype(float) - expected).max() <= 4)


def edge(image: Image, evidence: Evidence, time_s: float) -> np.ndarray:
    """The pixel of a time below its row's upper edge."""
    column, top = sheet_for(evidence).place(time_s)
    return np.asarray(image[top + 2, column])


def test_every_blink_is_shaded_where_it_was_and_nothing_else_is() -> None:
    lids = [*BLINKS, Lids(10.0, depth=0.35), Lids(12.0, 1.0)]
    evidence = seen(lids, 15.0)
    image = plot(evidence, "six")
    for time_s in evidence.times.tolist():
        blink = next(iter(evidence.blinks_between(time_s, time_s)), None)
        ends = [end for b in evidence.blinks for end in (b.start_s, b.end_s)]
        if abs(time_s - round(time_s)) < 0.02 or min(abs(time_s - end) for end in ends) < 0.02:
            continue  # a line of the grid; the edges of a band, which are between pixels
        expected = PANEL
        if blink is not None:
            expected = LONG if blink.long else COMPLETE if blink.complete else PARTIAL
        assert is_like(edge(image, evidence, time_s), expected), time_s


def test_complete_and_partial_blinks_differ_without_colour() -> None:
    evidence = seen([*BLINKS, Lids(10.0, depth=0.35)], 13.0)
    grey = cv2.cvtColor(plot(evidence, "grey"), cv2.COLOR_BGR2GRAY)
    marks = []
    for blink in evidence.blinks:
        column, top = sheet_for(evidence).place((blink.start_s + blink.end_s) / 2)
        marks.append(int(grey[top + 9, column]))
    assert max(marks[:4]) < 120  # filled
    assert marks[4] > 220  # hollow


def test_a_blink_across_the_end_of_a_row_is_shaded_in_both() -> None:
    evidence = seen([*BLINKS, Lids(14.9)], 40.0)
    sheet = sheet_for(evidence)
    assert (sheet.row_s, sheet.rows) == (15, 3)
    last = evidence.blinks[-1]
    assert last.start_s < 15.0 < last.end_s
    image = plot(evidence, "rows")
    assert is_like(edge(image, evidence, 14.96), COMPLETE)
    assert is_like(edge(image, evidence, 15.04), COMPLETE)


def test_a_gap_is_hatched_and_has_no_line() -> None:
    samples = without_face(Camera().see([], 12.0), 4.0, 8.0)
    evidence = gather(samples)
    image, sheet = plot(evidence, "gap"), sheet_for(evidence)

    def row(start_s: float, end_s: float, below: int) -> np.ndarray:
        first, top = sheet.place(start_s)
        last, _ = sheet.place(end_s)
        return image[top + below, first : last + 1].astype(int)

    hatched = row(4.2, 7.8, 2)
    assert hatched.min(axis=0).max() < 225  # its lines
    assert np.abs(np.diff(hatched.sum(axis=1))).max() > 30
    plain = row(1.1, 1.4, 2)
    assert is_like(plain, PANEL)
    lines = (image[sheet.top(0) :][: sheet.row_height] < 120).any(axis=2)
    drawn = lines.any(axis=0)
    (first, _), (last, _) = sheet.place(4.1), sheet.place(5.0)
    assert not drawn[first:last].any()
    (first, _), (last, _) = sheet.place(1.0), sheet.place(3.9)
    assert drawn[first:last].all()


def test_a_single_frame_without_a_face_can_be_seen() -> None:
    evidence = gather(without_face(Camera().see([], 600.0), 299.99, 300.01))
    (gap,) = evidence.gaps
    assert gap.frames == 1
    image = plot(evidence, "one frame")
    assert not is_like(edge(image, evidence, (gap.start_s + gap.end_s) / 2), PANEL)


def long_recording(hours: float, fps: float = 30.0) -> Evidence:
    """Open eyes without a blink."""
    times = np.arange(hours * 3600 * fps) / fps
    ear = 0.3 + 0.005 * np.sin(50 * times)
    level = np.full_like(times, 0.3)
    short = gather(Camera().see([], 2.0))
    return replace(short, times=times, ear=ear, left=ear, right=ear, open=level, closed=level / 2)


def test_a_dip_of_one_sample_is_visible_in_two_hours() -> None:
    evidence = long_recording(2)
    dips = range(12_345, 200_000, 23_457)  # at every place within a column of pixels
    evidence.ear[dips] = 0.1
    image, sheet = plot(evidence, "dips"), sheet_for(evidence)
    for dip in dips:
        column, top = sheet.place(evidence.times[dip])
        low = image[top + sheet.row_height - 22 : top + sheet.row_height - 14]
        dark = np.flatnonzero((low < 110).all(axis=(0, 2)))  # all the way down, below the levels
        assert np.abs(dark - column).min() <= 1


@pytest.mark.parametrize(
    ("seconds", "row_s", "rows"),
    [(2.0, 2.0, 1), (19.0, 19.0, 1), (65.0, 15, 5), (600.0, 30, 20), (7200.0, 300, 24)],
)
def test_rows_are_few_and_of_a_length_to_count_with(
    seconds: float, row_s: float, rows: int
) -> None:
    evidence = replace(long_recording(0.001), times=np.linspace(0, seconds, 108))
    sheet = sheet_for(evidence)
    assert (sheet.row_s, sheet.rows) == (pytest.approx(row_s), rows)
    assert sheet.rows <= MAX_ROWS
    assert sheet.row_height >= 96
    assert sheet.height <= 3200


def test_the_axis_shows_every_dip_and_is_not_crushed_by_a_peak() -> None:
    evidence = gather([*Camera(noise=0).see([Lids(2.0)], 5.0), sample(5.1, 3.0)])
    low, high = ear_range(evidence)
    assert low < evidence.ear.min()
    assert 0.3 < high < 0.6
    image, sheet = plot(evidence, "peak"), sheet_for(evidence)
    column, top = sheet.place(5.1)
    assert (image[top : top + 16, column - 40 : column + 1] > 120).all()  # cut off below the marks


def test_the_summary_says_what_was_counted_in_how_much() -> None:
    lids = [*BLINKS, Lids(10.0, depth=0.35), Lids(12.0, 1.0)]
    facts = summary(seen(lids, 20.0, gap=(15.0, 17.0))).split("     ")
    assert facts == [
        "5 blinks (1 partial), 1 long closure",
        "coverage 90 %",
        "30.0 frames/s",
        "20.0 s",
    ]


def test_uncounted_blinks_are_not_shown_as_zero() -> None:
    nobody = gather([sample(number / 30, None) for number in range(60)])
    assert summary(nobody).startswith("blinks not counted     coverage 0 %")
    slow = replace(gather(Camera(fps=6).see([], 20.0)), blinks=())
    assert "blinks not counted" in summary(slow)
    assert "6.0 frames/s (too few: 10 are needed)" in summary(slow)


def test_blinks_are_counted_as_they_begin() -> None:
    evidence = seen(BLINKS, 10.0)
    assert blink_summary(evidence, 1.0) == "0 blinks"
    assert blink_summary(evidence, evidence.blinks[0].start_s) == "1 blink"
    assert blink_summary(evidence, 7.0) == "3 blinks"


@pytest.mark.parametrize(
    ("time_s", "step_s", "said"),
    [
        (0, 1, "0:00"),
        (65, 5, "1:05"),
        (3605, 5, "1:00:05"),
        (59.999999, 0.5, "1:00.0"),
        (1.5, 0.1, "0:01.5"),
        (12.345, 0.01, "0:12.35"),
        (7322.5, 0.01, "2:02:02.50"),
    ],
)
def test_times_are_read_as_on_a_clock(time_s: float, step_s: float, said: str) -> None:
    assert clock(time_s, step_s) == said


def test_a_long_name_fits_and_other_letters_cause_no_error() -> None:
    image = plot(gather(Camera().see([], 2.0)), "Zoë " + 60 * "very long " + ".mp4")
    assert (image[:40, WIDTH - 16 :] == 255).all()
    assert text_width("Zoë", 10) == text_width("Zo?", 10)


def test_the_file_is_a_png_of_the_plot(tmp_path: Path) -> None:
    evidence = seen(BLINKS, 10.0)
    path = tmp_path / "out.png"
    write_plot(path, evidence, "a file")
    np.testing.assert_array_equal(cv2.imread(str(path)), plot(evidence, "a file"))


ear = st.one_of(st.none(), st.floats(-10, 10), st.floats(0, 0.5))


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(0.001, 5000), ear, ear), min_size=1, max_size=60),
    blinks=st.lists(st.floats(0, 1e4), max_size=4),
)
def test_any_recording_can_be_drawn(
    rows: list[tuple[float, float | None, float | None]], blinks: list[float]
) -> None:
    times = np.cumsum([interval_s for interval_s, _, _ in rows]).tolist()
    samples = [
        replace(sample(time_s, mean), ear_left=left)
        for time_s, (_, mean, left) in zip(times, rows, strict=True)
    ]
    found = tuple(Blink(at_s, at_s + 0.2, 0.1, 0.5, complete=False) for at_s in sorted(blinks))
    evidence = replace(gather(samples), blinks=found)
    image = plot(evidence, "anything")
    assert image.shape == (sheet_for(evidence).height, WIDTH, 3)
