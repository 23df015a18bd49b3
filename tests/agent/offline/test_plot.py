"""The plot of a recording: what was counted can be seen where it was, at two seconds and two hours.

Artists are asked for what they show; where visibility is the promise, the picture's pixels are.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from agent.errors import AgentError
from agent.offline.evidence import Evidence, blink_summary, clock, ear_range, gather
from agent.offline.pictures import pictures
from agent.offline.plot import (
    BLINKS,
    DOWN,
    DPI,
    GAP,
    MAX_ROWS,
    WIDTH,
    Look,
    figure,
    sheet_for,
    summary,
    write_plot,
)
from agent.records import Blink
from tests.agent.traces import Camera, Lids, sample, without_face

ROOT = Path(__file__).parents[3]
BLINKING = [Lids(at_s) for at_s in (2.0, 4.0, 6.0, 8.0)]


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


def bands(axes: Axes, look: Look) -> list[tuple[float, float]]:
    """The times that are shaded as `look` in this row."""
    wanted = to_rgb(look.band["facecolor"])
    return [
        (float(path.vertices[:, 0].min()), float(path.vertices[:, 0].max()))
        for each in axes.collections
        if isinstance(each, PolyCollection) and tuple(each.get_facecolor()[0][:3]) == wanted
        for path in each.get_paths()
    ]


def line(axes: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    (found,) = (each for each in axes.get_lines() if each.get_label() == label)
    times, values = found.get_data()
    return np.asarray(times), np.asarray(values)


def pixels(drawing: Figure) -> np.ndarray:
    """The drawing, uint8 (height, width, 3)."""
    canvas = FigureCanvasAgg(drawing)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def labels(drawing: Figure) -> list[str]:
    return [text.get_text() for text in drawing.legends[0].get_texts()]


def test_every_event_is_shaded_as_its_kind_from_its_start_to_its_end() -> None:
    evidence = seen([*BLINKING, Lids(10.0, depth=0.35), Lids(12.0, 1.0)], 15.0)
    (axes,) = figure(evidence, "six").axes
    spans = [(blink.start_s, blink.end_s) for blink in evidence.blinks]
    assert bands(axes, BLINKS["complete"]) == [pytest.approx(span) for span in spans[:4]]
    assert bands(axes, BLINKS["partial"]) == [pytest.approx(spans[4])]
    assert bands(axes, BLINKS["long"]) == [pytest.approx(spans[5])]
    assert bands(axes, GAP) == bands(axes, DOWN) == []


def test_complete_and_partial_blinks_differ_without_colour() -> None:
    evidence = seen([*BLINKING, Lids(10.0, depth=0.35)], 13.0)
    drawing = figure(evidence, "grey")
    grey = cv2.cvtColor(pixels(drawing), cv2.COLOR_RGB2GRAY)
    (axes,) = drawing.axes
    box = axes.get_window_extent()
    marks = []
    for blink in evidence.blinks:
        x = axes.transData.transform(((blink.start_s + blink.end_s) / 2, 0))[0]
        marks.append(int(grey[round(len(grey) - box.y1 - 0.075 * DPI), round(x)]))
    assert max(marks[:4]) < 120  # filled
    assert marks[4] > 220  # hollow


def test_a_blink_across_the_end_of_a_row_is_shaded_in_both_and_marked_once() -> None:
    evidence = seen([*BLINKING, Lids(14.8)], 40.0)
    sheet = sheet_for(evidence)
    assert (sheet.row_s, sheet.rows) == (15, 3)
    last = evidence.blinks[-1]
    assert last.start_s < 15.0 < last.end_s
    first, second, _ = figure(evidence, "rows").axes
    for axes in (first, second):
        assert pytest.approx((last.start_s, last.end_s)) in bands(axes, BLINKS["complete"])
    marks = [
        [len(each.get_xdata()) for each in axes.get_lines() if each.get_marker() == "v"]
        for axes in (first, second)
    ]
    assert [sum(counts) for counts in marks] == [5, 0]


def test_time_without_a_face_or_frames_is_shaded_and_has_no_line() -> None:
    samples = without_face(Camera().see([], 14.0), 4.0, 6.0)
    evidence = gather([each for each in samples if not 9.0 < each.time_s < 11.0])
    (axes,) = figure(evidence, "gaps").axes
    assert bands(axes, GAP) == [pytest.approx((3.97, 6.03), abs=0.01), pytest.approx((9.0, 11.0))]
    for label in ("mean EAR", "left eye", "right eye", "open level", "blink threshold"):
        times, values = line(axes, label)
        joined = np.isfinite(values[:-1]) & np.isfinite(values[1:])
        assert np.diff(times)[joined].max() < 0.1, label
        assert np.isfinite(values).sum() > 250, label


def test_a_look_down_is_shaded_and_explained() -> None:
    evidence = gather(
        [
            replace(
                sample(each.time_s, 0.1 if 6.0 <= each.time_s < 8.0 else each.ear),
                iris=0.05 if 6.0 <= each.time_s < 8.0 else -0.06,
                lower_lid=0.07,
            )
            for each in Camera().see([], 12.0)
        ]
    )
    drawing = figure(evidence, "down")
    assert bands(drawing.axes[0], DOWN) == [pytest.approx((6.0, 7.97), abs=0.01)]
    assert evidence.blinks == ()
    assert labels(drawing)[-1] == "looking down"


def test_a_single_frame_without_a_face_can_be_seen() -> None:
    plain = pixels(figure(gather(Camera().see([], 600.0)), "one frame"))
    gap = pixels(figure(gather(without_face(Camera().see([], 600.0), 299.99, 300.01)), "one frame"))
    half = len(plain) // 4  # below the header, which names the gap
    assert (plain[half:] != gap[half:]).any()


def test_a_sample_alone_between_gaps_can_be_seen() -> None:
    evidence = gather(without_face(without_face(Camera().see([], 4.0), 1.0, 1.99), 2.01, 3.0))
    drawing = figure(evidence, "alone")
    (mean,) = (each for each in drawing.axes[0].get_lines() if each.get_label() == "mean EAR")
    assert mean.get_xdata()[mean.get_markevery()] == pytest.approx([2.0])


def test_the_threshold_is_where_a_blink_begins_to_count() -> None:
    evidence = seen(BLINKING, 12.0)
    (axes,) = figure(evidence, "threshold").axes
    _, threshold = line(axes, "blink threshold")
    expected = evidence.open - 0.51 * (evidence.open - evidence.closed)
    np.testing.assert_allclose(threshold, expected)


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
    drawing = figure(evidence, "dips")
    image = pixels(drawing)
    for dip in dips:
        axes = drawing.axes[int(evidence.times[dip] // 300)]
        x, y = axes.transData.transform((evidence.times[dip], 0.115))
        row = image[round(len(image) - y)].max(axis=1)  # below the levels
        assert row[round(x) - 2 : round(x) + 3].min() < 130


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
    assert sheet.row_height >= 0.75
    assert sheet.height * DPI <= 5000


def test_all_rows_share_one_length_and_one_scale() -> None:
    rows = figure(seen(BLINKING, 65.0), "rows").axes
    assert [axes.get_xlim() for axes in rows] == [(15 * n, 15 * n + 15) for n in range(5)]
    assert {axes.get_ylim() for axes in rows} == {ear_range(seen(BLINKING, 65.0))}
    assert rows[0].get_ylabel() == "EAR (ratio)"
    assert rows[-1].get_xlabel() == "time (min:s)"


def test_the_axis_shows_every_dip_and_is_not_crushed_by_a_peak() -> None:
    evidence = gather([*Camera(noise=0).see([Lids(2.0)], 5.0), sample(5.1, 3.0)])
    low, high = ear_range(evidence)
    assert low < evidence.ear.min()
    assert 0.3 < high < 0.6


def test_the_summary_says_what_was_counted_in_how_much() -> None:
    lids = [*BLINKING, Lids(10.0, depth=0.35), Lids(12.0, 1.0)]
    facts = summary(seen(lids, 20.0, gap=(15.0, 17.0))).split("  ·  ")
    assert facts == [
        "5 blinks (1 partial), 1 long closure",
        "coverage 90 %",
        "30.0 frames/s",
        "20.0 s",
    ]


def test_uncounted_blinks_are_not_shown_as_zero() -> None:
    nobody = gather([sample(number / 30, None) for number in range(60)])
    assert summary(nobody).startswith("blinks not counted  ·  coverage 0 %")
    slow = replace(gather(Camera(fps=6).see([], 20.0)), blinks=())
    assert "blinks not counted" in summary(slow)
    assert "6.0 frames/s (too few: 10 are needed)" in summary(slow)


def test_blinks_are_counted_as_they_begin() -> None:
    evidence = seen(BLINKING, 10.0)
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


def test_the_header_covers_neither_itself_nor_a_row_even_with_everything_in_it() -> None:
    lids = [*BLINKING, Lids(10.0, depth=0.35), Lids(12.0, 1.0)]
    evidence = replace(seen(lids, 20.0, gap=(15.0, 17.0)), down=((18.0, 19.0),))
    drawing = figure(evidence, 60 * "very long " + ".mp4")
    pixels(drawing)  # lays it out
    assert len(labels(drawing)) == 10
    legend = drawing.legends[0].get_window_extent()
    title, facts = (each.get_window_extent() for each in drawing.texts)
    marks = drawing.axes[0].get_window_extent().y1 + 0.11 * DPI
    assert title.y0 > facts.y1
    assert facts.y0 > legend.y1
    assert legend.y0 > marks
    assert max(title.x1, facts.x1, legend.x1) < WIDTH


@pytest.mark.parametrize("title", ["Zoë.mp4", "$1 costs $2_3^.mp4", "漢字.mp4", r"\alpha{.mp4"])
def test_any_file_name_can_be_the_title(title: str, tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    write_plot(path, seen(BLINKING, 10.0), title)
    image = cv2.imread(str(path))
    assert image is not None
    assert image.shape[1] == WIDTH


def test_a_person_s_own_matplotlib_style_changes_nothing(tmp_path: Path) -> None:
    import matplotlib as mpl

    evidence = seen(BLINKING, 10.0)
    write_plot(tmp_path / "a.png", evidence, "a")
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30}):
        write_plot(tmp_path / "b.png", evidence, "a")
        assert mpl.rcParams["axes.facecolor"] == "red"
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_without_matplotlib_a_plot_is_refused_before_measuring_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with (
        pytest.raises(AgentError, match=r"matplotlib.*pip install 'blinklog\[desk\]'"),
        pictures(tmp_path / "video.mp4", tmp_path / "plot.png"),
    ):
        pytest.fail("began to measure")
    with pictures(tmp_path / "video.mp4", None, tmp_path / "overlay.mp4"):
        pass
    assert list(tmp_path.glob("plot*")) == []


def test_nothing_but_the_plot_loads_matplotlib() -> None:
    imports = "import sys, agent.cli.offline, agent.cli.watch, agent.offline.pictures"
    code = f"{imports}; print('matplotlib' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout == "False\n"


ear = st.one_of(st.none(), st.floats(-10, 10), st.floats(0, 0.5))


@settings(max_examples=10, deadline=None)
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
    image = pixels(figure(evidence, "anything"))
    assert image.shape[1] == WIDTH


def test_a_device_is_not_given_matplotlib() -> None:
    pins = sorted((ROOT / "requirements").glob("device-*.txt"))
    assert pins
    assert not [path.name for path in pins if "matplotlib" in path.read_text()]
    assert "matplotlib==" in (ROOT / "requirements" / "demo.txt").read_text()
