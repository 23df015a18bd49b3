"""The two clocks."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import clock
from agent.clock import Clock, Zone
from agent.measure.recording import uuid7


def test_the_wall_clock_is_utc_and_the_monotonic_one_moves_on() -> None:
    here = Clock()
    assert here.now().tzinfo is UTC
    before = here.monotonic_s()
    assert here.monotonic_s() >= before


def test_the_boot_has_an_id() -> None:
    assert uuid.UUID(Clock().boot_id())


@pytest.fixture
def tz() -> Iterator[Callable[[str | None], None]]:
    """Sets TZ for this process."""
    with pytest.MonkeyPatch.context() as patch:
        yield lambda name: patch.delenv("TZ", False) if name is None else patch.setenv("TZ", name)
    time.tzset()


WINTER, SUMMER = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 7, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("named", "zone", "winter", "summer"),
    [
        ("Europe/Berlin", Zone("Europe/Berlin", False), 60, 120),
        (":Asia/Tokyo", Zone("Asia/Tokyo", False), 540, 540),
        ("/usr/share/zoneinfo/Europe/Berlin", Zone("Europe/Berlin", False), 60, 120),
        ("", Zone("UTC", False), 0, 0),
        ("JST-9", Zone(None, True), 540, 540),
        ("CET-1CEST,M3.5.0,M10.5.0/3", Zone(None, True), 60, 120),
        ("<+0545>-5:45", Zone(None, True), 345, 345),
        ("localtime", Zone("UTC", True), 0, 0),  # the test gives this machine another zone
        ("posix/Asia/Tokyo", Zone(None, True), 540, 540),
        ("Europe/Atlantis", Zone("UTC", True), 0, 0),  # what the system makes of it
    ],
)
def test_the_offset_is_that_of_the_system_and_only_a_name_that_has_it_is_believed(
    tz: Callable[[str], None], named: str, zone: Zone, winter: int, summer: int
) -> None:
    tz(named)
    here = Clock()
    assert here.zone() == zone
    assert (here.utc_offset_minutes(WINTER), here.utc_offset_minutes(SUMMER)) == (winter, summer)


LOOK = """
import time
from datetime import UTC, datetime
from agent.clock import Clock, Zone
here, summer = Clock(), datetime(2026, 7, 22, tzinfo=UTC)
print(here.timezone(), here.zone().guessed, here.utc_offset_minutes(summer))
"""


def seen_with(localtime: str, debian: str) -> str:
    """What a process sees where `localtime` is a shell command that makes /etc/localtime."""
    script = f"""
        set -e
        mount -t tmpfs none /mnt && cp -a /etc/. /mnt && mount --move /mnt /etc
        rm -f /etc/localtime
        echo {debian} > /etc/timezone
        {localtime}
        exec {sys.executable} -c '{LOOK}'"""
    environ = {name: value for name, value in os.environ.items() if name != "TZ"}
    command = ["unshare", "--mount", "sh", "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if run.returncode and ("unshare" in run.stderr or "mount" in run.stderr):
        pytest.skip("a mount namespace needs root")
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


BERLIN = "/usr/share/zoneinfo/Europe/Berlin"


@pytest.mark.parametrize(
    ("localtime", "debian", "seen"),
    [
        (f"ln -s {BERLIN} /etc/localtime", "Asia/Tokyo", "Europe/Berlin False 120"),
        (f"cp {BERLIN} /etc/localtime", "Europe/Berlin", "Europe/Berlin True 120"),
        (f"cp {BERLIN} /etc/localtime", "Asia/Tokyo", "None True 120"),
        ("true", "Europe/Berlin", "UTC True 0"),
    ],
    ids=["a link", "a copy", "a copy of another zone than Debian names", "missing"],
)
def test_a_copy_of_a_zone_has_its_offset_and_its_name_is_a_guess(
    localtime: str, debian: str, seen: str
) -> None:
    assert seen_with(localtime, debian) == seen


def test_a_zone_that_is_set_while_the_process_runs_is_noticed(tz: Callable[[str], None]) -> None:
    tz("UTC")
    assert Clock().zone_facts(SUMMER) == {"utc_offset_minutes": 0, "timezone": "UTC"}
    tz("Europe/Berlin")
    assert Clock().zone_facts(SUMMER) == {"utc_offset_minutes": 120, "timezone": "Europe/Berlin"}


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
