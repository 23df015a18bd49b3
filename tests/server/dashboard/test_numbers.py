"""What the pages make of numbers: days, words, marks, reasons. No database."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.common import words
from server.dashboard import days, figures, history, marks, metrics, overview, session, today
from server.dashboard.in_a_session import eyes
from server.session_data.summary import statistics as summary
from server.session_data.summary.eyes import compared
from tests.server.dashboard.rows import BERLIN, MONDAY, NOON, missing, row


def values_of(found: list[days.Day]) -> list[float | None]:
    return [day.value for day in found]


# Days


def test_a_day_without_a_session_has_no_value_rather_than_zero() -> None:
    rows = [
        row(MONDAY, long_closure_count=0),
        row(MONDAY + timedelta(days=2), long_closure_count=3),
    ]
    found = days.day_values(rows, "long_closure_count", MONDAY, MONDAY + timedelta(days=2))
    assert values_of(found) == [0, None, 3]
    assert [day.sessions for day in found] == [1, 0, 1]


def test_a_session_that_measured_nothing_leaves_its_day_without_a_value() -> None:
    found = days.day_values([row(blink_rate_per_min=None)], "blink_rate_per_min", MONDAY, MONDAY)
    assert values_of(found) == [None]
    assert found[0].sessions == 1


def test_a_short_session_does_not_move_the_days_median() -> None:
    rows = [row(blink_rate_per_min=12.0), row(blink_rate_per_min=40.0, valid_s=179.0)]
    assert summary.median_of(rows, "blink_rate_per_min") == 12.0
    assert summary.median_of(rows[1:], "blink_rate_per_min") is None


def test_three_measured_minutes_are_enough() -> None:
    assert not row(valid_s=180.0).short
    assert row(valid_s=179.9).short
    assert row(valid_s=None).short


def test_a_days_coverage_weighs_sessions_by_their_length() -> None:
    rows = [row(duration_s=60.0, valid_s=0.0), row(duration_s=540.0, valid_s=540.0)]
    assert summary.coverage_of(rows) == pytest.approx(0.9)
    assert summary.coverage_of([row(duration_s=None, valid_s=None)]) is None


RATES = (12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0)


def around(today: float | None = None, perclos: float | None = 0.02) -> list[summary.Measured]:
    """Two weeks with a session a day, and one of today."""
    before = [
        row(MONDAY - timedelta(days=n), blink_rate_per_min=RATES[n % 7], perclos=0.02)
        for n in range(1, 15)
    ]
    now = [] if today is None else [row(blink_rate_per_min=today, perclos=perclos)]
    return before + now


@pytest.mark.parametrize(
    ("rate", "perclos", "said"),
    [
        (15.0, 0.02, "Today is as usual."),
        (25.0, 0.02, "Blink rate is higher than usual today."),
        (5.0, 0.02, "Blink rate is lower than usual today."),
        (15.0, 0.2, "PERCLOS is higher than usual today."),
        (25.0, 0.2, "Blink rate is higher than usual today. PERCLOS is higher than usual today."),
        (25.0, None, "Blink rate is higher than usual today."),
        (None, None, "No measurement today yet."),
    ],
)
def test_a_page_says_whether_today_is_as_usual_and_compared_with_what(rate, perclos, said) -> None:
    basis = "" if rate is None else " Compared with all sessions of 14 days."
    assert today.compare(around(rate, perclos), MONDAY).words == said + basis


def test_without_enough_days_a_page_says_how_many_there_are() -> None:
    few = around(25.0)[8:]
    assert today.compare(few, MONDAY).words == "Not enough data yet: 6 of 7 days."
    assert today.compare([], MONDAY).words == "Not enough data yet: 0 of 7 days."


def test_alerts_and_pages_have_one_usual_range() -> None:
    (rate, _perclos) = today.compare(around(15.0), MONDAY).compared
    span = days.usual(around(15.0), "blink_rate_per_min", MONDAY)
    assert span is not None
    assert (rate.low, rate.high) == (f"{span.low:.1f}", f"{span.high:.1f}")


def test_what_is_usual_is_not_said_of_few_sessions_or_long_ago() -> None:
    few = [row(MONDAY - timedelta(days=n), perclos=0.01) for n in range(1, 6)]
    old = [row(MONDAY - timedelta(days=28 + n), perclos=0.01) for n in range(1, 9)]
    assert days.usual(few + old, "perclos", MONDAY) is None


def test_today_is_not_part_of_what_is_usual() -> None:
    rows = [row(MONDAY, perclos=0.5) for _ in range(9)]
    assert days.usual(rows, "perclos", MONDAY) is None


# Periods


def test_a_period_ends_today_and_has_all_its_days() -> None:
    period = history.period_of("7", "", MONDAY)
    assert (period.first, period.last, period.query) == (
        MONDAY - timedelta(days=6),
        MONDAY,
        "days=7",
    )
    assert period.after is None


@pytest.mark.parametrize("days_asked", ["", "0", "8", "-7", "7.0", "๗", "x" * 500])
@pytest.mark.parametrize("until", ["", "2026-13-01", "tomorrow", "9999-12-31", "0001-01-01"])
def test_nonsense_in_an_address_is_as_good_as_nothing(days_asked: str, until: str) -> None:
    period = history.period_of(days_asked, until, MONDAY)
    assert period.days == 30
    assert date(1999, 1, 1) < period.before.first <= period.last <= MONDAY


def test_one_can_go_to_earlier_periods_and_back() -> None:
    period = history.period_of("30", "", MONDAY)
    earlier = period.before
    assert earlier.last + timedelta(days=1) == period.first
    assert earlier.after == period
    assert history.period_of("30", earlier.query.partition("until=")[2], MONDAY) == earlier


def asked(first: str, last: str) -> history.Period:
    return history.period_asked({"from": first, "to": last, "days": "7"}, MONDAY)


def test_a_chosen_span_has_its_first_and_its_last_day() -> None:
    first = MONDAY - timedelta(days=20)
    last = first + timedelta(days=4)
    period = asked(str(first), str(last))
    assert (period.first, period.last, period.days) == (first, last, 5)
    assert period.query == f"from={first}&to={last}" == period.export_query
    assert asked(str(last), str(first)) == period
    assert (period.before.last, period.before.days) == (first - timedelta(days=1), 5)
    assert period.before.after == period


@pytest.mark.parametrize(
    ("reach", "length", "back"),
    [(5, 2, 7), (7, 7, 30), (8, 1, 30), (31, 3, 90), (90, 5, 90), (30, 30, 90)],
)
def test_from_a_chosen_span_one_goes_back_to_a_period_around_it(
    reach: int, length: int, back: int
) -> None:
    first = MONDAY - timedelta(days=reach - 1)
    period = asked(str(first), str(first + timedelta(days=length - 1)))
    assert period.whole == history.Period(back, MONDAY, MONDAY)
    assert period.whole.whole is None


def test_a_chosen_span_keeps_the_activity_and_so_does_the_way_back() -> None:
    query = {"from": "2026-11-02", "to": "2026-11-04", "activity": "reading"}
    period = history.period_asked(query, MONDAY)
    assert period.query == "from=2026-11-02&to=2026-11-04&activity=reading"
    assert period.whole is not None
    assert period.whole.query == "days=30&activity=reading"


@given(first=st.dates(), last=st.dates())
def test_any_two_days_are_a_span_that_a_page_can_show(first: date, last: date) -> None:
    period = asked(str(first), str(last))
    assert history.FIRST_DAY <= period.last <= MONDAY
    assert 1 <= period.days <= history.MOST_DAYS
    assert history.period_asked(dict(parse_qsl(period.query)), MONDAY) == period
    assert period.whole is not None


@pytest.mark.parametrize("text", ["", "2026-13-01", "tomorrow", "x" * 500])
def test_a_span_without_a_day_is_as_good_as_none(text: str) -> None:
    assert (
        asked(text, "2026-11-01") == asked("2026-11-01", text) == history.period_of("7", "", MONDAY)
    )


# Words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (287.1, "4 min 47 s"), (4320, "1 h 12 min")],
)
def test_a_length_in_words(seconds: float, said: str) -> None:
    assert words.in_words(seconds) == said


def test_a_zone_is_said_with_what_it_means_on_that_day() -> None:
    assert words.zone_words(BERLIN, NOON) == "Europe/Berlin, UTC+1"
    assert words.zone_words(BERLIN, NOON - timedelta(days=120)) == "Europe/Berlin, UTC+2"
    assert words.zone_words(ZoneInfo("Asia/Kolkata"), NOON) == "Asia/Kolkata, UTC+5:30"
    assert words.zone_words(ZoneInfo("America/New_York"), NOON).endswith("UTC−5")  # noqa: RUF001
    assert words.zone_words(UTC, NOON) == "UTC"


@pytest.mark.parametrize(
    ("name", "change", "before", "after"),
    [
        ("Europe/Berlin", "2026-03-29T01:00Z", "01:59 UTC+1", "03:00 UTC+2"),
        ("Europe/Berlin", "2026-10-25T01:00Z", "02:59 UTC+2", "02:00 UTC+1"),
        ("America/New_York", "2026-03-08T07:00Z", "01:59 UTC-5", "03:00 UTC-4"),
    ],
)
def test_a_zone_changes_in_the_minute_in_which_its_clocks_do(
    name: str, change: str, before: str, after: str
) -> None:
    zone, moment = ZoneInfo(name), datetime.fromisoformat(change)
    for at, said in ((moment - timedelta(minutes=1), before), (moment, after)):
        offset = words.zone_words(zone, at).rpartition(" ")[2].replace("\N{MINUS SIGN}", "-")
        assert f"{words.clock(at, zone)} {offset}" == said


@given(st.integers(min_value=0, max_value=1000))
def test_a_number_is_rounded_and_not_cut_off(thousandths: int) -> None:
    tenths = str(thousandths / 10)  # 0.57 * 100 is 56.99999999999999
    assert words.number(thousandths / 1000 * 100, 1) == tenths
    assert metrics.PERCLOS.formatted(thousandths / 1000) == tenths


def test_days_near_today_have_names() -> None:
    assert words.day_name(MONDAY, MONDAY) == "today"
    assert words.day_name(MONDAY - timedelta(days=1), MONDAY) == "yesterday"
    assert words.day_name(date(2026, 3, 1), MONDAY) == "Sun 1 Mar"
    assert words.day_name(date(2025, 3, 1), MONDAY) == "Saturday 1 March 2025"


def test_a_session_over_midnight_says_on_which_day_it_began() -> None:
    late = replace(row(), started_at=datetime(2026, 11, 15, 22, 50, tzinfo=UTC))
    assert history.time_span(late) == "Sun 15 Nov, 23:50 – 12:05"  # noqa: RUF001


def test_a_clock_is_said_with_its_own_day_where_a_session_went_over_midnight() -> None:
    start = datetime(2026, 11, 15, 22, 50, tzinfo=UTC)
    late = replace(row(blink_rate_per_min=14.2), placed_at=start, started_at=start)
    assert overview.last_words(late, MONDAY).startswith("Last session yesterday at 23:50")
    period = history.period_of("7", "", MONDAY)
    chart = str(figures.figures([late], [late], period)[0].chart)
    assert "Sun 15 Nov 23:50: 14.2" in chart


# What is missing, and why


def test_null_is_not_measured_and_zero_is_zero() -> None:
    assert metrics.PERCLOS.formatted(0.0) == "0.0"
    assert metrics.LONG_CLOSURES.formatted(0) == "0"
    assert metrics.PERCLOS.formatted(None) is None
    assert metrics.PERCLOS.formatted(0.0184) == "1.8"


def test_it_says_why_a_number_is_missing() -> None:
    assert missing("blink_rate_per_min", valid_s=0.0) == "The eyes were not seen."
    assert "12.4 frames per second" in str(missing("blink_duration_median_ms", fps=12.4))
    assert "at least 10" in str(missing("blink_count", fps=8.1))
    assert missing("longest_closure_s", long_closure_count=0) == "There were no long closures."
    assert missing("blink_duration_median_ms", blink_count=0) == "There were no blinks."
    assert missing("inter_blink_interval_median_s", blink_count=1) is not None
    assert missing("ear_mean", active=True) == "Not known yet."


def test_where_the_reason_is_not_known_none_is_made_up() -> None:
    assert missing("ear_mean") is None
    assert missing("blink_count", fps=None) is None


def test_a_metric_of_newer_devices_is_shown_only_where_it_was_measured() -> None:
    older = {each.metric.key for each in metrics.readings(row().values, 29.8, False)}
    assert {"looking_down", "blink_closure_left_median", "ear_open_right"} & older == set()
    values = row(looking_down=0.0, blink_closure_left_median=0.823).values
    newer = {each.metric.key: each.value for each in metrics.readings(values, 29.8, False)}
    assert newer.keys() - older == {"looking_down", "blink_closure_left_median"}
    assert (newer["looking_down"], newer["blink_closure_left_median"]) == ("0", "82")


# Each eye, and the gaze

BOTH = {"blink_closure_left_median": 0.82, "blink_closure_right_median": 0.21}
TYPICAL = "In a typical blink the left eye closes by 82 %, the right by 21 %."
RIGHT_LESS = "The right eye closed less than the left."


def test_how_far_each_eye_closes_is_said_if_it_is_known_of_both() -> None:
    assert eyes.eye_lines(BOTH) == [TYPICAL]
    for name in BOTH:
        assert eyes.eye_lines({**BOTH, name: None}) == []


def differing(left: float, right: float, blinks: int = 10) -> eyes.BothEyes | None:
    values = {**BOTH, "ear_open_left": 0.318, "ear_open_right": None}
    return eyes.both_eyes(values, compared([(left, right)] * blinks))


def test_both_eyes_are_beside_each_other_where_they_differ() -> None:
    found = differing(0.82, 0.21)
    assert found is not None
    assert found.sentence.startswith(f"{RIGHT_LESS} In the median of 10 blinks, by 61 to 61 perc")
    assert [(each.left, each.right) for each in found.rows] == [
        ("0.318", None), ("82", "21"), ("0", "10"),
    ]  # fmt: skip
    other = differing(0.21, 0.82)
    assert other is not None
    assert "The left eye closed less" in other.sentence


def test_eyes_that_hardly_differ_are_not_shown_nor_those_of_few_blinks() -> None:
    assert differing(0.82, 0.65) is None
    assert differing(0.82, 0.21, 9) is None
    assert eyes.both_eyes(BOTH, None) is None


def test_looking_down_is_told_and_zero_is_zero() -> None:
    assert eyes.eye_lines({"looking_down": 0.12}) == ["Looking down 12 % of the time."]
    assert eyes.eye_lines({"looking_down": 0.0}) == ["Looking down 0 % of the time."]
    assert eyes.eye_lines({"looking_down": None}) == []


def test_every_blink_says_how_far_each_eye_closed_where_that_is_known() -> None:
    columns: dict[str, list[Any] | None] = {
        "at_s": [1.0, 2.5],
        "duration_ms": [180.0] * 2,
        "amplitude": [0.5, 0.6],
        "complete": [True] * 2,
    }
    older = session.session_page(row(), {"blinks": columns}, NOON).blinks
    assert (older.each_eye, older.lines[0].left, older.lines[0].right) == (False, None, None)
    columns |= {"closure_left": [0.825, None], "closure_right": None}
    newer = session.session_page(row(), {"blinks": columns}, NOON).blinks
    assert newer.each_eye
    assert [(line.left, line.right) for line in newer.lines] == [("82", None), (None, None)]


def test_what_the_device_says_of_face_picture_and_gaze_is_told_in_words() -> None:
    second, turned, gaze = session.remarks(["second_face", "turned", "gaze_unknown", "new"])
    assert second.startswith("A second face was visible")
    assert "camera.rotate" in turned
    assert gaze.startswith("Looking down could not be distinguished from closed eyes.")


def test_marks_say_what_to_know_first() -> None:
    odd = replace(
        row(valid_s=61.0), state="interrupted", ended_by="power_loss", date_uncertain=True
    )
    found = marks.marks_of(odd, NOON)
    assert [mark.kind for mark in found] == ["uncertain", "interrupted", "short"]
    assert "lost power" in found[1].about
    assert marks.marks_of(row(), NOON) == []


def test_a_session_under_way_is_live_until_its_device_falls_silent() -> None:
    live = replace(row(valid_s=30.0), state="active", ended_at=None)
    assert [mark.kind for mark in marks.marks_of(live, NOON + timedelta(seconds=80))] == ["live"]
    [mark] = marks.marks_of(live, NOON + timedelta(minutes=12))
    assert mark.text == "no signal for 12 minutes"
