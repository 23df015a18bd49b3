"""A session's dates are true or marked uncertain, whatever the wall clock does."""

import threading
from datetime import timedelta

import pytest

from agent.controls.panel import Action
from tests.agent.watch.device import Device, SteppedClock


def test_time_that_arrives_in_a_session_gives_it_its_true_date(device: Device) -> None:
    device.clock.wrong = timedelta(days=-365 * 26)
    device.panel.presses = ["start"]
    starts: list[str] = []
    device.at(2, lambda: starts.append(device.the_session()["started_at"]))
    device.at(5, lambda: setattr(device.clock, "wrong", timedelta(0)))
    device.power_off_at(8)
    device.run()
    session = device.the_session()
    assert starts[0].startswith("2000-")
    assert session["started_at"] == "2026-11-22T10:00:00.000Z"
    assert session["ended_at"].startswith("2026-11-22T10:00:08")
    assert session["clock"]["synchronized"] is True


def test_time_that_is_lost_and_comes_back_dates_what_was_measured_in_between(
    device: Device,
) -> None:
    """As under chrony: hours after the network went, the kernel calls its clock unsynchronised."""
    wrongs = [timedelta(0), timedelta(days=-1), timedelta(days=-1), timedelta(0)]

    def idle(timeout_s: float) -> Action | None:
        """Half a second between two sessions: the time is right, then it is not, then it is."""
        if timeout_s == 0:
            return None
        if wrongs:
            device.clock.wrong = wrongs.pop(0)
            return "start" if len(wrongs) == 1 else None
        device.stopping.set()
        return None

    device.panel.action = idle  # type: ignore[method-assign]
    device.camera.ends_after = 60
    device.run()
    assert device.the_session()["clock"]["synchronized"] is True
    assert device.the_session()["started_at"].startswith("2026-11-22T10:00:0")


def test_a_wall_clock_that_jumps_a_year_changes_no_duration(device: Device) -> None:
    device.panel.presses = ["start"]
    device.at(5, lambda: setattr(device.clock, "jumped", timedelta(days=365)))
    device.power_off_at(8)
    device.run()
    session = device.the_session()
    assert session["started_at"] == "2026-11-22T10:00:00.000Z"
    assert session["ended_at"].startswith("2026-11-22T10:00:08")
    assert session["metrics"]["duration_s"] == pytest.approx(8, abs=0.1)


def test_time_that_arrives_later_dates_the_sessions_of_this_boot(device: Device) -> None:
    device.clock.wrong = timedelta(days=-365 * 26 - 130)  # in summer
    device.panel.presses = ["start"]
    device.power_off_at(5)
    device.run()
    before = device.the_session()
    device.store.acknowledge(before["session_id"], before["revision"])
    device.clock.wrong = timedelta(0)
    device.stopping.clear()
    threading.Timer(0.3, device.stopping.set).start()
    device.run(keep_sessions=0)
    after = device.the_session()
    assert before["started_at"].startswith("2000-")
    assert after["started_at"] == "2026-11-22T10:00:00.000Z"
    offsets = [it["clock"]["utc_offset_minutes"] for it in (before, after)]
    assert offsets == [120, 60]
    assert after["revision"] == before["revision"] + 1
    assert len(device.store.pending(10)) == 1
    assert after["metrics"] == before["metrics"]


def test_another_boots_dates_stay_uncertain(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.clock.wrong = timedelta(days=-365 * 26)
    device.panel.presses = ["start"]
    device.power_off_at(5)
    device.run()
    before = device.the_session()
    device.clock.wrong = timedelta(0)
    monkeypatch.setattr(SteppedClock, "boot_id", lambda self: "another")
    device.stopping.clear()
    threading.Timer(0.3, device.stopping.set).start()
    device.run()
    assert device.the_session() == before
