"""Sessions outside a person's usual range: when that is told, and when not."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from server.alerts.models import Alert, Kind
from server.alerts.words import ending, sentence
from server.session_data.models import SessionData
from tests.server.alerts.moments import BERLIN, NOW, judge, open_alerts, rule
from tests.server.conftest import golden


def measured(
    world, ended: datetime, rate: float, perclos: float = 0.02, **columns: Any
) -> SessionData:
    """A session of Anna's of five minutes; `came` is when the server had its end."""
    came = columns.pop("came", ended)
    said = columns.pop("quality", [])
    return SessionData.objects.create(
        **{
            "id": golden("final")["session_id"],
            "user": world.anna,
            "device": world.device,
            "revision": 7,
            "state": "ended",
            "started_at": ended - timedelta(minutes=5),
            "ended_at": ended,
            "local_day": ended.astimezone(BERLIN).date(),
            "received_at": came,
            "updated_at": came,
            "duration_s": 300.0,
            "valid_s": 290.0,
            "coverage": 0.97,
            "fps": 30.0,
            "frames": 9000,
            "frames_dropped": 0,
            "blink_count": 60,
            "blink_rate_per_min": rate,
            "perclos": perclos,
            "document_json": json.dumps({"quality": said}),
        }
        | columns
    )


def weeks(world, rates: tuple[float, ...] = (12, 14, 15, 16, 18)) -> None:
    """Two weeks with a session a day: 15 blinks a minute, give or take 2."""
    for day in range(1, 16):
        measured(world, NOW - timedelta(days=day), rates[day % len(rates)])


def test_a_rate_outside_the_persons_own_range_is_told_with_the_numbers(told):
    rule(told, Kind.BLINK_RATE, spread=1)
    weeks(told)
    session = measured(told, NOW, 31.0)
    assert judge(NOW + timedelta(minutes=1)).opened == 1
    (alert,) = open_alerts()
    assert alert.session_id == session.pk or str(alert.session_id) == session.pk
    said = sentence(alert)
    assert "Blink rate of the day, up to Sun 22 Nov, 14:00: 31.0 blinks/min." in said
    assert "The rule's range is 10.7 to 19.9, from 15 days" in said
    newer = NOW + timedelta(hours=1)
    for minutes in (30, 0):  # the day's median is 15.5 again
        measured(told, newer - timedelta(minutes=minutes), 15.5)
    assert judge(newer + timedelta(minutes=1)).resolved == 1
    assert ending(Alert.objects.get()) == "A newer value is within the range."


@pytest.mark.parametrize(
    ("perclos", "opened"), [(0.021, 0), (0.09, 1), (0.0, 1), (None, 0)], ids=str
)
def test_perclos_is_compared_alike_and_what_was_not_measured_is_nothing(told, perclos, opened):
    rule(told, Kind.PERCLOS, spread=1)
    weeks(told)
    measured(told, NOW, 15.0, perclos)
    assert judge(NOW).opened == opened


@pytest.mark.parametrize(
    "distrusted",
    [
        {"valid_s": 100.0},
        {"coverage": 0.5},
        {"fps": 12.0},
        {"frames_dropped": 2000},
        {"date_uncertain": True},
        {"quality": ["noisy"]},
        {"quality": ["second_face"]},
        {"quality": [1, "noisy"]},
    ],
    ids=str,
)
def test_a_session_whose_numbers_cant_be_trusted_is_not_compared(told, distrusted):
    rule(told, Kind.BLINK_RATE, spread=1)
    weeks(told)
    measured(told, NOW, 31.0, **distrusted)
    assert judge(NOW).opened == 0


@pytest.mark.parametrize(
    ("kind", "quality", "opened"),
    [
        (Kind.PERCLOS, ["gaze_unknown"], 0),  # looking down may be in it
        (Kind.BLINK_RATE, ["gaze_unknown"], 1),
        (Kind.PERCLOS, ["turned"], 1),
        (Kind.BLINK_RATE, ["turned"], 1),
    ],
)
def test_what_speaks_against_one_number_leaves_the_other(told, kind, quality, opened):
    rule(told, kind, spread=1)
    weeks(told)
    measured(told, NOW, 31.0, 0.2, quality=quality)
    assert judge(NOW).opened == opened


def test_the_day_is_compared_by_the_median_of_its_sessions(told):
    rule(told, Kind.BLINK_RATE, spread=1)
    weeks(told)
    for hours in (1, 2):
        measured(told, NOW - timedelta(hours=hours), 15.0)
    measured(told, NOW, 31.0)
    assert judge(NOW).opened == 0
    for minutes in (10, 20, 30):
        measured(told, NOW + timedelta(minutes=minutes), 31.0)
    assert judge(NOW + timedelta(minutes=31)).opened == 1


@pytest.mark.parametrize(("spread", "opened"), [(1, 1), (1.5, 1), (2, 0)])
def test_a_less_sensitive_rule_has_a_wider_range(told, spread, opened):
    rule(told, Kind.BLINK_RATE, spread=spread)
    weeks(told)
    measured(told, NOW, 24.0)
    assert judge(NOW).opened == opened


@pytest.mark.parametrize("quality", [1, True, "noisy", {"noisy": 1}, None], ids=str)
def test_a_quality_that_is_no_list_says_nothing_and_stops_nobodys_alerts(told, quality):
    rule(told, Kind.BLINK_RATE, spread=1)
    weeks(told)
    measured(told, NOW - timedelta(days=2), 15, quality=quality)
    measured(told, NOW, 31.0, quality=quality)
    assert judge(NOW).opened == 1


def test_with_too_few_days_there_is_no_usual_range(told):
    rule(told, Kind.BLINK_RATE, spread=1)
    for n in range(24):  # many sessions, on six days
        measured(told, NOW - timedelta(days=1 + n % 6, minutes=10 * n), 15)
    measured(told, NOW, 90.0)
    assert judge(NOW).opened == 0


def test_a_session_that_arrives_late_opens_nothing(told):
    rule(told, Kind.BLINK_RATE, spread=1)
    weeks(told)
    measured(told, NOW - timedelta(hours=3), 31.0, came=NOW)
    assert judge(NOW).opened == 0
    # Its device corrects something afterwards: it is no newer for that.
    SessionData.objects.filter(blink_rate_per_min=31.0).update(updated_at=NOW)
    assert judge(NOW + timedelta(minutes=1)).opened == 0


def test_an_older_session_that_arrives_late_does_not_resolve_a_newer_ones_alert(told):
    rule(told, Kind.BLINK_RATE, spread=1)
    weeks(told)
    measured(told, NOW, 31.0)
    assert judge(NOW).opened == 1
    later = NOW + timedelta(minutes=30)
    measured(told, NOW - timedelta(hours=2), 15.0, came=later)
    assert judge(later).resolved == 0


def test_a_day_of_reading_is_compared_with_days_of_reading_and_says_so(told):
    rule(told, Kind.BLINK_RATE, spread=1)
    for n in range(1, 16):
        read = n <= 6
        rate = (7.0 if read else 15.0) + n % 3
        word = "reading" if read else "talking"
        measured(told, NOW - timedelta(days=n), rate, activity=word)
    measured(told, NOW, 8.0, activity="reading")
    assert judge(NOW).opened == 0
    measured(told, NOW + timedelta(hours=1), 22.0, activity="reading")
    measured(told, NOW + timedelta(hours=1), 22.0, activity="reading")
    assert judge(NOW + timedelta(hours=1)).opened == 1
    (alert,) = open_alerts()
    assert alert.measured["activity"] == "reading"
    assert sentence(alert).endswith("Compared with 6 days of reading.")


def test_an_alert_from_before_activities_says_nothing_of_them(told):
    rule(told, Kind.BLINK_RATE, spread=1)
    weeks(told)
    measured(told, NOW, 31.0)
    judge(NOW)
    (alert,) = open_alerts()
    assert sentence(alert).endswith("Compared with all sessions of 15 days.")
    del alert.measured["activity"]
    assert "Compared" not in sentence(alert)
