"""The two clocks."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import clock
from agent.clock import Clock
from agent.measure.recording import uuid7


def test_the_wall_clock_is_utc_and_the_monotonic_one_moves_on() -> None:
    here = Clock()
    assert here.now().tzinfo is UTC
    before = here.monotonic_s()
    assert here.monotonic_s() >= before


def test_the_boot_has_an_id() -> None:
    assert uuid.UUID(Clock().boot_id())


def test_the_zone_is_a_real_one_and_knows_summer_from_winter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    here = Clock()
    assert here.timezone() == "Europe/Berlin"
    assert here.utc_offset_minutes(datetime(2026, 11, 22, tzinfo=UTC)) == 60
    assert here.utc_offset_minutes(datetime(2026, 7, 22, tzinfo=UTC)) == 120


def test_a_zone_that_does_not_exist_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Atlantis")
    assert Clock().timezone() != "Europe/Atlantis"


def test_the_time_services_flag_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_kernel_synchronized", lambda: False)
    monkeypatch.setattr(clock, "TIMESYNC_FLAG", tmp_path / "synchronized")
    assert not Clock().synchronized()
    (tmp_path / "synchronized").touch()
    assert Clock().synchronized()


def test_the_kernel_can_be_asked() -> None:
    assert clock._kernel_synchronized() in (True, False)


def test_ids_are_of_version_7_and_sort_by_time() -> None:
    first = uuid7(datetime(2026, 11, 22, 10, 0, tzinfo=UTC))
    later = uuid7(datetime(2026, 11, 22, 10, 1, tzinfo=UTC))
    assert first.version == 7
    assert first.variant == uuid.RFC_4122
    assert str(first) < str(later)
    assert len({uuid7(datetime.now(UTC)) for _ in range(1000)}) == 1000
    assert abs((later.int >> 80) / 1000 - datetime(2026, 11, 22, 10, 1, tzinfo=UTC).timestamp()) < 1


def test_a_clock_before_1970_still_gives_an_id() -> None:
    assert uuid7(datetime(1969, 1, 1, tzinfo=UTC)).version == 7


def test_a_clock_that_somebody_vouches_for_needs_no_time_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clock, "TIMESYNC_FLAG", tmp_path / "missing")
    monkeypatch.setattr(clock, "_kernel_synchronized", lambda: False)
    assert not Clock().synchronized()
    assert Clock(trusted=True).synchronized()
