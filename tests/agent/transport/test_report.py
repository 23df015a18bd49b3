"""The note of delivery: what it says, when it says it, and how seldom it is written."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.errors import DeliveryError
from agent.store.store import Store
from agent.transport.report import DeliveryReport
from tests.agent.sync.scripted import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "agent.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def report(store: Store, clock: Clock) -> DeliveryReport:
    return DeliveryReport(store, clock)


def said(store: Store) -> dict[str, Any]:
    note: dict[str, Any] = store.noted("delivery")
    return note


def whole(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def test_it_says_when_it_was_written_and_when_the_server_last_answered(
    store: Store, report: DeliveryReport
) -> None:
    before = whole(datetime.now(UTC))
    report.delivered(1, 0)
    after = whole(datetime.now(UTC))
    note = said(store)
    assert before <= note["at"] <= after
    assert before <= note["contact"] <= after
    assert (note["ok"], note["problem"], note["next_try"]) == (True, None, None)


def test_it_says_when_the_first_of_the_failed_transports_is_tried_again(
    store: Store, report: DeliveryReport
) -> None:
    before = datetime.now(UTC)
    report.problem("mqtt", DeliveryError("no broker"), wait_s=200.0)
    assert said(store)["next_try"] >= whole(before + timedelta(seconds=200))
    report.problem("http", DeliveryError("no server"), wait_s=100.0)
    after = datetime.now(UTC)
    first, last = (whole(each + timedelta(seconds=100)) for each in (before, after))
    assert first <= said(store)["next_try"] <= last


def test_what_goes_on_as_before_is_noted_once_a_minute(
    store: Store, report: DeliveryReport, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_s: list[float] = []
    monkeypatch.setattr(store, "note", lambda key, value: written_s.append(clock.now_s))
    for _ in range(300):
        report.delivered(1, 0)
        clock.now_s += 0.5
    assert written_s == [1000.0, 1060.0, 1120.0]


def test_what_changes_is_noted_at_once(store: Store, report: DeliveryReport) -> None:
    report.delivered(1, 0)
    report.delivered(0, 1)
    assert said(store)["ok"] is False
    report.problem("http", DeliveryError("away"), wait_s=5.0)
    assert said(store)["problem"] == "http: away"
    report.works("http")
    assert said(store)["problem"] is None
    assert said(store)["contact"] is not None, "there was one before"


def test_the_log_says_how_many_were_delivered_since_it_said_so_last(
    report: DeliveryReport, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def lines() -> list[str]:
        said = [each.getMessage() for each in caplog.records]
        caplog.clear()
        return [each for each in said if each.startswith("delivered")]

    report.delivered(0, 2)
    assert lines() == [], "of nothing it says nothing"
    report.delivered(2, 0)
    assert lines() == ["delivered 2, 0 to go"]
    report.delivered(3, 0)
    report.delivered(4, 0)
    assert lines() == [], "within a minute"
    clock.now_s += 60
    report.delivered(5, 0)
    assert lines() == ["delivered 12, 0 to go"]


def test_a_problem_that_outlives_a_success_ends_when_it_said(
    store: Store, report: DeliveryReport, clock: Clock
) -> None:
    report.problem("mqtt", DeliveryError("two devices", lasts_s=900.0), wait_s=5.0)
    clock.now_s += 899.5
    report.works("mqtt")
    assert said(store)["problem"] == "mqtt: two devices"
    clock.now_s += 0.5
    report.works("mqtt")
    assert said(store)["problem"] is None


def test_a_transport_that_goes_on_working_costs_no_reading(
    store: Store, report: DeliveryReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(store, "noted", read.append)
    for _ in range(100):
        report.works("http")
    assert len(read) == 1, "whether an earlier process left a problem"
