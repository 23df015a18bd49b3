"""`doctor` on the store, the disk, the clock and the services."""

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.clock import Zone
from agent.health import check_system
from agent.store.store import Store
from agent.system import systemd
from agent.system.systemd import Unit
from tests.agent.health.checks import FixedClock, found

# What is kept


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(path)) as store:
        yield store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted without being root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_writable_store_is_ok(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite3"
    absent = check_system.store(path, lambda: opened(path))
    assert absent.state == "off"
    assert list(tmp_path.iterdir()) == []
    with opened(path):
        pass
    finding = check_system.store(path, lambda: opened(path))
    assert finding.state == "ok"
    assert "sessions: 0, pending: 0, refused: 0" in finding.found


def test_a_store_of_a_newer_version_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite3"
    with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    finding = check_system.store(path, lambda: opened(path))
    assert finding.state == "bad"
    assert finding.hint == "install the version that wrote it, or a newer one"


def test_a_replaced_damaged_store_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite3"
    path.write_bytes(b"no database" * 1000)
    finding = check_system.store(path, lambda: opened(path))
    assert "a damaged one was set aside: agent.damaged-" in finding.found


def test_small_full_and_read_only_disks_are_reported(small_disk: Path) -> None:
    path = small_disk / "agent.sqlite3"
    with opened(path):
        pass
    low = check_system.disk(path)
    assert low.state == "bad"
    assert "MB free" in low.found
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    for finding in (check_system.disk(path), check_system.store(path, lambda: opened(path))):
        assert finding.state == "bad"
        assert "ead-only" in finding.found
        assert "mmc" in str(finding.hint)


def test_a_disk_with_space_is_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_system, "LOW_BYTES", 1)
    assert check_system.disk(tmp_path / "agent.sqlite3").state == "ok"


def test_a_clock_is_ok_if_synchronised_and_plausible() -> None:
    now = datetime.now(UTC)
    assert check_system.clock(FixedClock(now)).state == "ok"
    assert "not synchronised" in check_system.clock(FixedClock(now, sure=False)).found
    past = FixedClock(datetime(2000, 1, 1, tzinfo=UTC))
    assert "before this software was installed" in check_system.clock(past).found


@pytest.mark.parametrize(
    ("zone", "says"),
    [
        (Zone("Asia/Tokyo", guessed=False), ", time zone Asia/Tokyo, synchronised"),
        (Zone("Asia/Tokyo", guessed=True), ", time zone Asia/Tokyo, guessed: sudo timedatectl"),
        (Zone(None, guessed=True), ", time zone unnamed, by the system's offset: sudo timedatectl"),
    ],
)
def test_the_time_zone_is_named_and_a_guess_is_called_one(
    monkeypatch: pytest.MonkeyPatch, zone: Zone, says: str
) -> None:
    now = datetime.now(UTC)
    monkeypatch.setattr(FixedClock, "zone", lambda _: zone)
    monkeypatch.setattr(FixedClock, "utc_offset_minutes", lambda *_: 540)
    finding = check_system.clock(FixedClock(now))
    assert finding.state == "ok"
    assert says in finding.found
    assert "+09:00" in finding.found


# The services

WELL = Unit(systemd.SYNC, True, "active", "running", "enabled", 0, "success")


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"loaded": False}, "install it"),
        ({"enabled": "disabled"}, "systemctl enable --now"),
        ({"active": "failed", "result": "watchdog"}, "systemctl restart"),
        ({"active": "activating"}, "systemctl restart"),
        ({"restarts": 11}, "keeps restarting"),
    ],
)
def test_a_service_problem_is_reported(change: Mapping[str, Any], hint: str) -> None:
    values = {name: getattr(WELL, name) for name in Unit.__slots__}
    finding = check_system.services([WELL, Unit(**{**values, **change})])
    assert finding.state == "bad"
    assert hint in str(finding.hint)


def test_running_services_are_ok_and_a_missing_systemd_is_off() -> None:
    assert check_system.services([WELL]).state == "ok"
    assert check_system.services(None).state == "off"


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What systemctl does here."""

    def does(script: str) -> None:
        program = tmp_path / "systemctl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(systemd, "SYSTEMD", tmp_path)
    return does


def test_systemd_is_asked_for_both_services(systemctl: Callable[[str], None]) -> None:
    systemctl(
        "printf 'Result=watchdog\\nNRestarts=3\\nLoadState=loaded\\nActiveState=active\\n'\n"
        "printf 'SubState=running\\nUnitFileState=enabled\\n'"
    )
    watch, sync = systemd.units() or []
    assert (watch.name, sync.name) == (systemd.WATCH, systemd.SYNC)
    assert watch.text() == "active (running), enabled, 3 restarts, ended by watchdog"


@pytest.mark.parametrize(
    ("script", "says"),
    [("exec sleep 60", "did not answer within 0.2 s"), ("echo no >&2; exit 1", "failed: no")],
)
def test_a_systemd_that_does_not_answer_is_a_finding(
    systemctl: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    monkeypatch.setattr(systemd, "SHOW_S", 0.2)
    systemctl(script)
    finding = found(lambda: check_system.services(systemd.units()))
    assert finding.state == "bad"
    assert says in finding.found
