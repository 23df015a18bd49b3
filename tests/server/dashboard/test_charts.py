"""The pages' charts: gaps, axes, marks and what they say. No database."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dashboard import charts, figures, history, marks, metrics, overview, session
from server.dashboard.charts import scale
from server.session_data.summary import statistics as summary
from tests.server.dashboard.rows import MONDAY, NOON, missing, row

# Charts

FRAME = charts.Frame("rate", "Blink rate", (0, 4), 20, [(0.5, "16 Nov"), (1.5, "17 Nov")])


def line_of(*values: float | None) -> list[charts.Dot]:
    return [charts.Dot(n + 0.5, value) for n, value in enumerate(values)]


def path_of(svg: str) -> str:
    found: list[str] = re.findall(r'<path class="line" d="([^"]*)"', svg)
    return found[0]


def test_a_gap_breaks_the_line() -> None:
    assert path_of(charts.dots_and_line(FRAME, line=line_of(10, 11, 12, 13))).count("M") == 1
    assert path_of(charts.dots_and_line(FRAME, line=line_of(10, 11, None, 12))).count("M") == 2


def test_days_without_data_are_columns_behind_the_line() -> None:
    values = [None, 10.0, None, None, 11.0]
    assert charts.gaps_between(values) == [(0, 1), (2, 4)]
    assert charts.gaps_between([0.0, 1.0]) == []
    svg = charts.dots_and_line(FRAME, line=line_of(*values), gaps=charts.gaps_between(values))
    assert svg.count('<rect class="gap"') == 2
    assert svg.rindex('<rect class="gap"') < svg.index('<path class="line"')


def test_no_data_is_a_gap_and_zero_is_a_mark() -> None:
    data = [charts.Bar(0, 1, None, "gap"), charts.Bar(1, 2, 0, "none"), charts.Bar(2, 3, 7, "7")]
    svg = charts.bars(FRAME, data)
    assert [svg.count(f'class="{kind}"') for kind in ("gap", "zero", "bar")] == [1, 1, 1]


def test_a_chart_brings_no_style_no_script_and_no_other_address() -> None:
    dots = [charts.Dot(1, 5, "x", href="/sessions/1/")]
    svg = charts.dots_and_line(FRAME, dots=dots, band=(1, 3))
    assert not re.search(r"<style|<script|style=|xlink|<!--|onload|https?:", svg)
    assert re.findall(r'href="([^"]*)"', svg) == ["/sessions/1/"]


def test_a_chart_says_what_it_shows_and_escapes_what_it_says() -> None:
    frame = replace(FRAME, label='<b> & "you"', x_ticks=[(1, "<i>")])
    dots = [charts.Dot(1, 5, "</svg><script>", href='"><script>')]
    svg = charts.dots_and_line(frame, dots=dots)
    assert 'role="img" aria-label="&lt;b&gt; &amp; &quot;you&quot;"' in svg
    assert not re.search(r"<script>|<i>", svg)
    assert "<title>&lt;/svg&gt;&lt;script&gt;</title>" in svg


def test_a_point_is_a_link_that_the_tab_key_passes_by() -> None:
    """A chart of ninety days would be ninety stops; its table has the same links."""
    linked = charts.Dot(1, 5, "Mon: 5", href="/sessions/1/")
    svg = charts.dots_and_line(FRAME, dots=[linked, charts.Dot(2, 5, "Tue: 5")])
    points = svg.partition('class="points" aria-hidden="true"')[2]
    assert re.findall(r'<a href="([^"]*)" tabindex="-1"><title>Mon: 5<', points) == ["/sessions/1/"]
    assert '<circle class="dot" cx="50.00%"' in points


def test_an_empty_sparkline_can_be_drawn() -> None:
    assert "<svg" in charts.sparkline("nothing", [None] * 14, None)
    assert "<svg" in charts.sparkline("zero", [0.0], (0, 0))


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_an_axis_ends_at_or_above_its_highest_value_after_few_steps(highest: float) -> None:
    top, step = scale.nice_top(highest)
    assert top >= highest * (1 - 1e-7)
    assert 1 <= round(top / step) <= 4
    assert scale.nice_top(top) == pytest.approx((top, step))


@given(st.integers(min_value=0, max_value=200), st.integers(min_value=1, max_value=12))
def test_labels_appear_only_where_there_is_room_for_all_that_are_shown(
    count: int, length: int
) -> None:
    ticks = [(float(n), "x" * length) for n in range(count)]
    found = scale.with_widths(ticks)
    assert [tick for tick, width in found if width == 0] == ticks[:1]
    for width in scale.WIDTHS:
        shown = sum(least <= width for _tick, least in found)
        room = width / (length * scale.CHARACTER + scale.BETWEEN)
        assert shown <= max(room, 1)


def test_a_wide_chart_of_a_month_has_every_monday() -> None:
    mondays = [(float(n), "16 Nov") for n in range(5)]
    assert max(width for _tick, width in scale.with_widths(mondays)) <= 28


def axis_labels(svg: str) -> list[str]:
    return re.findall(r'<text class="y"[^>]*>([^<]*)</text>', svg)


def test_the_marks_of_an_axis_say_where_they_are() -> None:
    minutes = [{"minute": n, "ear_mean": ear} for n, ear in enumerate([0.21, 0.25, 0.3, 0.36])]
    chart = session.session_page(row(), {"minutes": minutes}, NOON).ear_chart
    assert axis_labels(chart or "") == ["0.15", "0.25", "0.35", "0.45"]


@given(
    st.integers(min_value=0, max_value=40),
    st.sampled_from([0.1, 0.17, 0.4, 0.8, 3, 5]),
)
def test_every_mark_of_an_axis_is_where_its_label_says(twentieths: int, height: float) -> None:
    bottom = twentieths / 20
    frame = charts.Frame("", "", (0, 1), bottom + height, bottom=bottom)
    labels = axis_labels(charts.dots_and_line(frame, dots=[charts.Dot(0, bottom)]))
    top, step = scale.nice_top(height)
    wanted = [bottom + n * step for n in range(round(top / step) + 1)]
    assert [float(label) for label in labels] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("tiny", [5e-324, 1e-300, 1e-7])
def test_a_value_next_to_nothing_is_drawn_as_nothing(tiny: float) -> None:
    minutes = [{"minute": 0, "valid_s": 60, "blinks": 0, "ear_mean": tiny, "perclos": tiny}]
    tinies = dict.fromkeys(summary.WAYS, tiny)
    blinks = {"at_s": [tiny], "duration_ms": [tiny], "amplitude": [tiny], "complete": [True]}
    one = row(MONDAY, **tinies | {"valid_s": 290.0})
    page = session.session_page(one, {"minutes": minutes, "blinks": blinks}, NOON)
    assert page.blinks.lines[0].amplitude == "0"
    period = history.period_of("7", "", MONDAY)
    rows = [replace(one, day=MONDAY - timedelta(days=n)) for n in range(14)]
    for figure in figures.figures(rows, rows, period):
        assert "<svg" in str(figure.chart)
    assert overview.card_of_days(rows, MONDAY).spark


def test_an_axis_for_ear_is_around_its_values() -> None:
    assert figures.ear_axis([0.294, 0.296]) == pytest.approx((0.25, 0.35))
    assert figures.ear_axis([0.01, 0.02])[0] == 0


# A session's minutes


def test_a_minute_the_document_leaves_out_is_a_gap() -> None:
    document = {
        "minutes": [
            {"minute": 0, "valid_s": 58.0, "blinks": 0, "ear_mean": 0.3, "perclos": 0.0},
            {"minute": 2, "valid_s": 0.0, "blinks": None, "ear_mean": None, "perclos": None},
            {"minute": 3, "valid_s": 20.0, "blinks": 5, "ear_mean": 0.3, "perclos": 0.02},
        ]
    }
    page = session.session_page(row(), document, NOON)
    assert [minute.blinks for minute in page.minutes] == [0, None, None, 5]
    assert [minute.why for minute in page.minutes] == [None, "no data", "no face", None]
    assert [minute.clock for minute in page.minutes][:2] == ["12:00", "12:01"]
    chart = str(page.minute_chart)
    assert [chart.count(f'class="{kind}"') for kind in ("gap", "zero", "bar partly")] == [2, 1, 1]


def test_a_session_without_minutes_has_no_chart_and_a_page() -> None:
    page = session.session_page(row(), {}, NOON)
    assert (page.minute_chart, page.minutes, page.blinks.known) == (None, [], False)


def test_too_many_blinks_are_counted_rather_than_cut_off() -> None:
    names = ("at_s", "duration_ms", "amplitude", "complete")
    columns = {name: [1.0] * 1501 for name in names}
    page = session.session_page(row(), {"blinks": columns}, NOON)
    assert (page.blinks.many, page.blinks.lines) == (1501, ())


def test_blinks_of_a_slow_camera_are_listed_without_durations() -> None:
    columns = {
        "at_s": [1.0, 2.5],
        "duration_ms": [None] * 2,
        "amplitude": [0.5, None],
        "complete": [True, None],
    }
    page = session.session_page(row(), {"blinks": columns}, NOON)
    assert [line.duration_ms for line in page.blinks.lines] == [None, None]
    assert [line.kind for line in page.blinks.lines] == ["complete", ""]
    assert page.blinks.chart is None


def test_blinks_are_rounded_and_not_cut_off() -> None:
    columns = {
        "at_s": [1.0, 2.0, 3.0],
        "duration_ms": [187.9, 99.99, 180.0],
        "amplitude": [0.29, 0.57, 0.995],
        "complete": [True] * 3,
    }
    blinks = session.session_page(row(), {"blinks": columns}, NOON).blinks
    assert [line.duration_ms for line in blinks.lines] == ["188", "100", "180"]
    assert [line.amplitude for line in blinks.lines] == ["29", "57", "100"]
    assert "from 100 to 188 ms" in str(blinks.chart)


def test_a_rate_of_pictures_is_rounded_where_it_is_told_and_not_where_it_falls_short() -> None:
    page = session.session_page(replace(row(), fps=29.96), {}, NOON)
    assert page.origin == "30.0 frames per second"
    reason = missing("blink_duration_median_ms", fps=14.96, blink_count=3)
    assert "delivered 14.9 frames per second; at least 15 are needed" in str(reason)


def test_what_is_too_short_by_a_moment_is_not_said_to_be_long_enough() -> None:
    (mark,) = marks.marks_of(row(valid_s=118.7), NOON)
    assert "Only 1 min 59 s were measured" in mark.about  # as the reading beside it
    (mark,) = marks.marks_of(row(valid_s=179.9), NOON)
    assert "Slightly less than 3 min were measured" in mark.about


def test_a_chart_of_very_many_sessions_draws_them_and_links_their_days() -> None:
    period = history.period_of("30", "", MONDAY)
    rows = [row(MONDAY - timedelta(days=n % 30), perclos=0.02) for n in range(60)]
    few, many = (
        next(
            each for each in figures.figures(rows, shown, period) if each.metric is metrics.PERCLOS
        )
        for shown in (rows, [])
    )
    assert few.kinds == many.kinds == {"session"}
    assert str(few.chart).count('href="/sessions/') == 60
    assert 'href="/sessions/' not in str(many.chart)
    assert str(many.chart).partition('class="cloud" d="')[2].partition('"')[0].count("M") == 60
    for chart in (str(few.chart), str(many.chart)):
        assert chart.count('href="?days=30&amp;day=2026-') == 30
