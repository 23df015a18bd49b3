"""GET /api/session/summary/: what days and periods say, and that no data is never zero."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.care.models import CareLink
from server.session_data.accept import Writer, accept_many
from server.session_data.summary import statistics as summary
from tests.server.conftest import golden
from tests.server.session_data.test_history import explained

SUMMARY = "/api/session/summary/"
BERLIN = {"synchronized": True, "timezone": "Europe/Berlin"}
MONDAY = date(2026, 11, 16)


@dataclass
class Session:
    """As the pure part sees one; three measured minutes and more unless said otherwise."""

    day: date = MONDAY
    state: str = "ended"
    date_uncertain: bool = False
    values: dict[str, Any] = field(default_factory=dict)


def of(day=MONDAY, state="ended", uncertain=False, **values):
    return Session(day, state, uncertain, {"duration_s": 300.0, "valid_s": 290.0, **values})


# Days and periods, by themselves


def test_a_days_value_is_the_median_of_its_sessions_and_the_sum_of_its_long_closures():
    day = summary.day_summary(
        MONDAY, [of(blink_rate_per_min=n, long_closure_count=1) for n in (10.0, 11.0, 20.0)]
    )
    assert day.metrics["blink_rate_per_min"].middle == 11.0
    assert day.metrics["long_closure_count"].middle == 3
    assert day.metrics["valid_s"].middle == 870.0


def test_quartiles_need_four_values():
    assert summary.spread_of([1.0, 2.0, 3.0]) == summary.Spread(3, 2.0, None, None)
    assert summary.spread_of([1.0, 2.0, 3.0, 4.0]) == summary.Spread(4, 2.5, 1.25, 3.75)
    assert summary.spread_of([]) == summary.Spread(0, None, None, None)


def test_what_was_not_measured_is_none_and_zero_is_zero():
    nothing = summary.day_summary(MONDAY, [of(valid_s=0.0, coverage=0.0)])
    assert nothing.metrics["perclos"].middle is None
    assert nothing.metrics["long_closure_count"].middle is None
    assert (nothing.metrics["valid_s"].middle, nothing.metrics["coverage"].middle) == (0.0, 0.0)
    still = summary.day_summary(MONDAY, [of(perclos=0.0, long_closure_count=0)])
    assert still.metrics["perclos"].middle == 0.0
    assert still.metrics["long_closure_count"].middle == 0
    unknown = summary.day_summary(MONDAY, [of(valid_s=None)])
    assert unknown.metrics["coverage"].middle is None


def test_short_and_uncertain_sessions_are_counted_and_move_no_median():
    sessions = [
        of(blink_rate_per_min=12.0),
        of(blink_rate_per_min=40.0, valid_s=179.0),
        of(blink_rate_per_min=50.0, uncertain=True),
        of(blink_rate_per_min=12.0, state="interrupted"),
    ]
    day = summary.day_summary(MONDAY, sessions)
    assert day.metrics["blink_rate_per_min"] == summary.Spread(2, 12.0)
    assert day.counts == summary.Counts(sessions=4, short=1, uncertain=1, interrupted=1)
    assert day.duration_s == 900.0


def test_a_period_is_the_median_of_its_days_not_of_its_sessions():
    busy = [of(perclos=0.9) for _ in range(10)]
    calm = [of(MONDAY + timedelta(days=n), perclos=0.1) for n in (1, 2)]
    days = summary.by_day([*busy, *calm], MONDAY, MONDAY + timedelta(days=6))
    period = summary.period_summary(days, MONDAY, MONDAY + timedelta(days=6))
    assert period.metrics["perclos"] == summary.Spread(3, 0.1)
    assert (period.days, period.measured_days, period.counts.sessions) == (7, 3, 12)


@pytest.mark.parametrize(("days", "least"), [(1, 3), (7, 3), (30, 5), (90, 13)])
def test_a_change_needs_a_day_in_each_week_and_three(days, least):
    assert summary.least_days(days) == least
    enough, thin = summary.Spread(least, 10.0), summary.Spread(least - 1, 10.0)
    more = summary.Spread(least, 12.0)
    assert summary.change(enough, more, days) == summary.Change(2.0, 0.2)
    assert summary.change(thin, more, days) == summary.Change(None, None)
    assert summary.change(more, thin, days) == summary.Change(None, None)


def test_a_change_from_zero_has_no_ratio_and_none_from_nothing():
    zero, some, none = (summary.Spread(7, middle) for middle in (0.0, 2.0, None))
    assert summary.change(zero, some, 7) == summary.Change(2.0, None)
    assert summary.change(none, some, 7) == summary.Change(None, None)


# Over HTTP


def today():
    return timezone.now().astimezone(ZoneInfo("Europe/Berlin")).date()


def noon(days_ago):
    day = today() - timedelta(days=days_ago)
    return datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("Europe/Berlin"))


def session(days_ago, *, name="final", clock=BERLIN, minutes=5, **metrics):
    began = noon(days_ago) - timedelta(minutes=30)
    document = golden(name, started_at=began.isoformat(), clock=clock)
    if document["ended_at"]:
        document["ended_at"] = (began + timedelta(minutes=minutes)).isoformat()
    return document | {"metrics": document["metrics"] | metrics}


@pytest.fixture
def stored(world):
    def store(*documents):
        writer = Writer(world.anna, world.device)
        answers = accept_many([(writer, document) for document in documents])
        assert {answer.outcome for answer in answers} == {"stored"}, answers

    return store


def asked(api, name="anna", **query):
    answer = api(name).get(SUMMARY, **query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_without_anything_asked_there_are_three_periods_and_ninety_days(api, stored):
    stored(*(session(n, blink_rate_per_min=10.0 + n % 2) for n in range(1, 20)))
    body = asked(api)
    assert (body["user"], body["timezone"]) == ("anna", "Europe/Berlin")
    assert body["today"] == str(today())
    assert [each["days"] for each in body["periods"]] == [7, 30, 90]
    assert [each["sessions"] for each in body["periods"]] == [6, 19, 19]
    assert len(body["days"]) == 90
    assert body["days"][-1]["day"] == str(today())
    assert body["days"][-2]["metrics"]["blink_rate_per_min"]["value"] == 11.0


def test_a_period_is_compared_with_the_one_before(api, stored):
    stored(
        *(session(n, blink_rate_per_min=12.0, perclos=0.0) for n in range(7)),
        *(session(n, blink_rate_per_min=10.0, perclos=0.0) for n in range(7, 14)),
    )
    (week,) = asked(api, period="7")["periods"]
    assert (week["sessions"], week["sessions_before"]) == (7, 7)
    rate, perclos = (week["metrics"][key] for key in ("blink_rate_per_min", "perclos"))
    assert (rate["median"], rate["before"]["median"]) == (12.0, 10.0)
    assert (rate["change"], rate["change_ratio"]) == (2.0, 0.2)
    assert (perclos["median"], perclos["change"], perclos["change_ratio"]) == (0.0, 0.0, None)


def test_each_eye_has_its_days(api, stored):
    left, right = (f"blink_closure_{side}_median" for side in ("left", "right"))
    stored(*(session(n, name="final_eyes", **{left: 0.1 + n / 10, right: 0.8}) for n in range(4)))
    body = asked(api, period="7")
    (week,) = body["periods"]
    assert [week["metrics"][key]["median"] for key in (left, right)] == [0.25, 0.8]
    assert body["days"][-1]["metrics"][left]["value"] == 0.1


def test_too_few_days_are_shown_and_not_compared(api, stored):
    stored(*(session(n) for n in range(7)), session(8), session(9))
    (week,) = asked(api, period="7")["periods"]
    rate = week["metrics"]["blink_rate_per_min"]
    assert (week["least_days"], rate["before"]["days"]) == (3, 2)
    assert rate["before"]["median"] is not None
    assert (rate["change"], rate["change_ratio"]) == (None, None)


def test_nobody_measured_is_null_everywhere_and_never_zero(api):
    body = asked(api)
    for period in body["periods"]:
        assert (period["sessions"], period["measured_days"]) == (0, 0)
        assert {period[key] for key in ("duration_s", "valid_s", "coverage")} == {None}
        for metric in period["metrics"].values():
            assert (metric["median"], metric["q1"], metric["change"]) == (None, None, None)
    for day in body["days"]:
        assert {metric["value"] for metric in day["metrics"].values()} == {None}


def test_days_are_those_of_the_zone_where_it_was_measured(api, stored):
    """00:03 in Berlin is the day before in UTC, and its day here."""
    ended = noon(3).replace(hour=0, minute=3)
    began = ended - timedelta(minutes=5)
    stored(golden("final", started_at=began.isoformat(), ended_at=ended.isoformat(), clock=BERLIN))
    days = {each["day"]: each["sessions"] for each in asked(api, period="7")["days"]}
    assert days[str(ended.date())] == 1
    assert days[str(ended.astimezone(UTC).date())] == 0


def test_sessions_of_an_uncertain_date_are_counted_where_they_arrived(api, stored):
    lost = session(0, clock={"synchronized": False, "timezone": "Europe/Berlin"})
    lost |= {"started_at": "1970-01-01T00:00:00Z", "ended_at": "1970-01-01T00:05:00Z"}
    stored(lost)
    (week,) = asked(api, period="7")["periods"]
    assert (week["sessions"], week["uncertain"], week["measured_days"]) == (1, 1, 0)
    assert week["metrics"]["blink_rate_per_min"]["median"] is None


def test_a_session_under_way_is_in_no_summary(api, stored):
    stored(session(0, name="checkpoint"))
    assert asked(api, period="7")["periods"][0]["sessions"] == 0


def test_a_period_of_ones_own(api, stored):
    stored(*(session(n) for n in range(40, 60)))
    first, last = today() - timedelta(days=49), today() - timedelta(days=40)
    body = asked(api, **{"from": str(first), "to": str(last)})
    (period,) = body["periods"]
    assert (period["first"], period["last"], period["days"]) == (str(first), str(last), 10)
    assert (period["sessions"], period["sessions_before"], len(body["days"])) == (10, 10, 10)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"period": "8"}, "period"),
        ({"period": ""}, "period"),
        ({"period": "7,"}, "period"),
        ({"from": "2026-01-01"}, "to"),
        ({"to": "2026-01-01"}, "from"),
        ({"from": "2026-01-02", "to": "2026-01-01"}, "to"),
        ({"from": "2025-01-01", "to": "2026-06-01"}, "to"),
        ({"from": "0001-01-01", "to": "2026-06-01"}, "from"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-06-01"}, "from"),
        ({"period": "7", "from": "2026-01-01", "to": "2026-01-02"}, "period"),
        ({"days": "7"}, "days"),
    ],
)
def test_what_is_asked_oddly_is_refused_by_name(api, query, named):
    answer = api("anna").get(SUMMARY, **query)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [named]


def test_it_needs_the_permission_for_history(api, world):
    link = CareLink.objects.get(caregiver=world.carl, ended_at=None)
    assert api("carl").get(SUMMARY, user="anna").status_code == 200
    assert api("otto").get(SUMMARY, user="anna").status_code == 404
    assert api("device").get(SUMMARY).status_code == 403
    link.may_see_history = False
    link.save()
    assert api("carl").get(SUMMARY, user="anna").status_code == 404


def test_it_takes_a_fixed_number_of_queries_and_one_index(api, stored):
    carl = api("carl")
    stored(session(1))
    counts = []
    for _ in range(2):
        carl.get(SUMMARY, user="anna")
        with CaptureQueriesContext(connection) as queries:
            carl.get(SUMMARY, user="anna")
        counts.append(len(queries))
        stored(*(session(n) for n in range(80)))
    assert counts == [4, 4]  # token, person, sessions, look
    (read,) = [each["sql"] for each in queries if "local_day" in each["sql"]]
    plan = explained(read, covered=True)
    assert "session_summary" in plan
    assert "COVERING INDEX" in plan or "Index Only Scan" in plan
