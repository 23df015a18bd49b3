"""What can happen to the store's file, and the real `blink-agent` after it: it comes up, says what
happened, and loses nothing that was committed and can be read."""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.store.store import Store
from tests.broker import needs_mosquitto
from tests.faults.harness import Device, Site
from tests.faults.launcher import ROOT, until
from tests.faults.load import session

SESSIONS = 40
PAGE = 4096

Report = dict[str, Any]


def agent(device: Device, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `blink-agent` as a person or systemd would."""
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "--config", device.config, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def status(device: Device) -> Report:
    """`blink-agent status --json`."""
    report: Report = json.loads(agent(device, "status", "--json").stdout)
    return report


def fill(device: Device) -> None:
    """Sessions in the file, and none of them delivered."""
    with contextlib.closing(Store(device.store)) as store:
        for number in range(SESSIONS):
            store.put(session(number))


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def garble(path: Path) -> None:
    """Random bytes over a third of it, in the middle."""
    third = path.stat().st_size // 3
    overwrite(path, third, random.Random(1).randbytes(third))


def blank(path: Path) -> None:
    """Zeros, as of a flash block that is gone."""
    overwrite(path, path.stat().st_size // 3, bytes(16 * PAGE))


def behead(path: Path) -> None:
    overwrite(path, 0, bytes(PAGE))


def empty(path: Path) -> None:
    os.truncate(path, 0)


def replace(path: Path) -> None:
    path.write_bytes(random.Random(2).randbytes(100_000))


@pytest.fixture
def device(site: Site, request: pytest.FixtureRequest) -> Device:
    """The device without its sync, and an empty store."""
    device = site.device
    device.sync.kill()
    site.tally()
    for file in device.folder.glob("agent.*sqlite3*"):
        file.unlink()
    device.journal.unlink(missing_ok=True)
    return device


@pytest.mark.needs_broker
@needs_mosquitto
@pytest.mark.parametrize(
    ("damage", "least"),
    [
        (truncate, 15),
        (garble, 15),
        (behead, 0),
        pytest.param(blank, 25, marks=pytest.mark.slow),
        pytest.param(empty, 0, marks=pytest.mark.slow),
        pytest.param(replace, 0, marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "__name__", f"at least {value}"),
)
def test_after_any_damage_the_agent_comes_up_says_so_and_delivers_what_is_readable(
    site: Site, device: Device, damage: Callable[[Path], None], least: int
) -> None:
    fill(device)
    before = {entry["id"] for entry in site.history()}
    damage(device.store)
    report = status(device)
    assert report["store"]["set_aside"].startswith("agent.damaged-")
    saved = report["store"]["sessions_saved"]
    assert report["sessions"]["pending"] == saved >= least
    assert (device.folder / report["store"]["set_aside"]).exists()
    site.feed(1)
    done = agent(device, "sync", "--once")
    assert done.returncode == 0, done.stderr
    assert status(device)["sessions"] == {
        "sessions": saved + 1,
        "pending": 0,
        "parked": 0,
        "delivered": saved + 1,
    }
    history = {entry["id"]: entry for entry in site.history() if entry["id"] not in before}
    assert len(history) == saved + 1
    numbers = {entry["blink_count"] for entry in history.values() if entry["coverage"] != 1}
    assert numbers <= {100 + number for number in range(SESSIONS)}, "each is as it was written"


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_missing_wal_costs_what_was_in_it_and_the_agent_goes_on(
    site: Site, device: Device
) -> None:
    fill(device)
    writer = (
        "import sys, time; from pathlib import Path; from agent.store.store import Store\n"
        "from tests.faults.load import session\n"
        "store = Store(Path(sys.argv[1])); store.put(session(999)); print('.', flush=True)\n"
        "time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", writer, device.store], cwd=ROOT, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
    wal = device.store.with_name(device.store.name + "-wal")
    assert wal.stat().st_size > 0
    wal.unlink()
    assert status(device)["sessions"]["pending"] == SESSIONS
    assert agent(device, "sync", "--once").returncode == 0
    assert status(device)["sessions"]["delivered"] == SESSIONS


# A disk of its own


@pytest.fixture
def disk(device: Device) -> Iterator[Path]:
    """A disk of 4 MB for the device's store."""
    folder = device.folder / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("a small disk can't be mounted without being root")
    config = device.config.read_text()
    device.config.write_text(config.replace(str(device.store), str(folder / device.store.name)))
    try:
        yield folder
    finally:
        device.config.write_text(config)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def use_up(disk: Path) -> Path:
    """Not a byte is left; the file that is in the way."""
    filler = disk / "logs"
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, bytes(PAGE))
    os.close(file)
    return filler


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_full_disk_keeps_all_delivers_all_and_begins_nothing(
    site: Site, device: Device, disk: Path
) -> None:
    path = disk / device.store.name
    with contextlib.closing(Store(path)) as store:
        for number in range(SESSIONS):
            store.put(session(number))
        begun = {**session(0), "revision": 1, "state": "active", "ended_at": None, "ended_by": None}
        store.put(begun)
    filler = use_up(disk)
    assert status(device)["sessions"]["pending"] == SESSIONS + 1

    before = len(site.history())
    site.feed_into(path, sessions=1)
    report = status(device)["sessions"]
    assert report["sessions"] == SESSIONS + 1, "no new session on a full disk"
    with contextlib.closing(Store(path)) as store:
        assert store.unfinished() == [], "and the one cut off is closed"

    done = agent(device, "sync", "--once")
    assert done.returncode == 0, done.stderr
    assert status(device)["sessions"]["delivered"] == SESSIONS + 1
    assert len(site.history()) == before + SESSIONS + 1

    filler.unlink()
    site.feed_into(path, sessions=1)
    assert status(device)["sessions"]["pending"] == 1, "with room again, all is as before"


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_read_only_disk_is_said_and_costs_nothing(
    site: Site, device: Device, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINKLOG_AGENT_CONTROLS_PINS", "mock")
    with contextlib.closing(Store(disk / device.store.name)) as store:
        for number in range(SESSIONS):
            store.put(session(number))
    remount(disk, "ro")
    report = agent(device, "status", "--json")
    assert report.returncode == 1
    assert "Read-only" in json.loads(report.stdout)["store"]["problem"]
    assert "Read-only" in agent(device, "status").stdout
    for command in (["watch"], ["sync"], ["start"]):
        done = agent(device, *command)
        assert done.returncode == 1
        assert "Read-only" in done.stderr
        assert "Traceback" not in done.stderr
    remount(disk, "rw")
    assert agent(device, "sync", "--once").returncode == 0
    assert status(device)["sessions"]["delivered"] == SESSIONS


def remount(disk: Path, how: str) -> None:
    def done() -> bool:
        command = ["mount", "-o", f"remount,{how}", str(disk)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    until(done, f"the disk is remounted {how}")
