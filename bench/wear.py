"""What a device writes to its card when idle, in a session, and without a network.

    sudo .venv/bin/python -m bench.wear [--json]

Runs the real watch and sync with mock pins, a looping portrait as the camera, and a server that
answers. Their store is on its own ext4 on a loop device, whose counter shows what reaches the card,
including the file system's journal; this needs root. The table also lists what the kernel charges
to the two processes. After each phase everything is flushed.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.store.store import Store
from scripts.demo import toml
from scripts.portrait import demo_schedule, load_portrait, write_video
from tests.agent.servers import TOKEN, History, running_api

FPS = 15.0
VIDEO_S = 20.0
SHORT_S, LONG_S = 10.0, 130.0  # sessions' lengths: what they have in common is the price of one
IDLE_S = 120.0
NOTES = 20
DAY_S = 86400.0
OFFLINE_TRY_S = 150.0  # between two tries that are noted, in the mean: up to 300 s, evenly drawn
SECTOR = 512  # bytes, in /sys/block/*/stat whatever the disk's own
DISK_MB = 256


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes: as the card sees them, and as the kernel charges them to the processes."""

    card: int
    processes: int


@dataclass(frozen=True, slots=True)
class Wear:
    """What was found; all in bytes. A day is one of four sessions of half an hour."""

    idle_day: float
    session: float
    session_minute: float
    note: float
    offline_day: float
    day: float
    files: int
    log_session: float
    phases: dict[str, Written]


class Device:
    """The two services with their store on a disk that is watched."""

    def __init__(self, folder: Path, disk: Path, counter: Path, url: str) -> None:
        self.store = disk / "agent.sqlite3"
        self._counter = counter
        self._logs = [folder / "watch.log", folder / "sync.log"]
        config, token = folder / "agent.toml", folder / "token"
        token.write_text(TOKEN)
        write_video(
            folder / "eyes.avi", load_portrait(), demo_schedule(VIDEO_S), seconds=VIDEO_S, fps=FPS
        )
        sections: dict[str, dict[str, Any]] = {
            "camera": {"source": "replay", "file": str(folder / "eyes.avi"), "loop": True},
            "controls": {"pins": "mock"},
            "store": {"path": str(self.store)},
            "server": {"url": url, "token_file": str(token)},
        }
        config.write_text(toml(sections))
        command = [sys.executable, "-m", "agent.cli.main", "--config", str(config)]
        self.processes = [
            subprocess.Popen([*command, name], stderr=log.open("wb"))
            for name, log in zip(("watch", "sync"), self._logs, strict=True)
        ]

    def written(self) -> Written:
        """Since the beginning, with everything flushed."""
        _flush(self.store)
        return Written(
            card=SECTOR * int(self._counter.read_text().split()[6]),
            processes=sum(_charged(each.pid) for each in self.processes),
        )

    def logged(self) -> int:
        """How much was said, which goes to the journal."""
        return sum(log.stat().st_size for log in self._logs)

    def press(self, seconds: float) -> None:
        """Holds the mock button down for so long."""
        self.processes[0].send_signal(signal.SIGUSR1)
        time.sleep(seconds)
        self.processes[0].send_signal(signal.SIGUSR2)

    def session(self, seconds: float) -> None:
        """From the press to its delivery."""
        self.press(0.1)
        self.wait("measuring")
        time.sleep(seconds)
        self.press(2.0)
        self.wait("ready")

    def wait(self, state: str) -> None:
        """Until watch is so, and nothing finished is pending."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self._check()
            if self.store.exists():
                with contextlib.closing(Store(self.store)) as store:
                    now = (store.noted("watch") or {}).get("state")
                    if now == state and store.oldest_pending() is None:
                        return
            time.sleep(0.2)
        raise SystemExit(f"wear: watch was not {state} within a minute")

    def _check(self) -> None:
        for process, log in zip(self.processes, self._logs, strict=True):
            if process.poll() is not None:
                raise SystemExit(f"wear: a service ended: {log.read_text()[-500:]}")

    def end(self) -> None:
        """In order."""
        for process in self.processes:
            process.terminate()
            process.wait(20)


def measure() -> Wear:
    """All phases, one after the other."""
    with tempfile.TemporaryDirectory(prefix="blinklog-wear-") as name, contextlib.ExitStack() as on:
        folder = Path(name)
        disk, counter = on.enter_context(_disk(folder))
        api = on.enter_context(running_api(History()))
        device = Device(folder, disk, counter, api.url)
        on.callback(device.end)
        device.wait("ready")
        device.session(SHORT_S)  # what only the first one does is not counted
        phases: dict[str, Written] = {}
        log_begin = device.logged()
        for phase, work in {
            "idle": lambda: time.sleep(IDLE_S),
            "short session": lambda: device.session(SHORT_S),
            "long session": lambda: device.session(LONG_S),
            "notes": lambda: _notes(device.store),
        }.items():
            before = device.written()
            work()
            after = device.written()
            phases[phase] = Written(after.card - before.card, after.processes - before.processes)
            if phase == "long session":
                log_session = (device.logged() - log_begin) / 2
        files = sum(each.stat().st_size for each in disk.glob("agent*"))
        return _wear(phases, files, log_session)


def _wear(phases: dict[str, Written], files: int, log_session: float) -> Wear:
    short, long = phases["short session"].card, phases["long session"].card
    minute = (long - short) / ((LONG_S - SHORT_S) / 60)
    session = short - minute * SHORT_S / 60
    idle_day = phases["idle"].card * DAY_S / IDLE_S
    note = phases["notes"].card / NOTES
    return Wear(
        idle_day=idle_day,
        session=session,
        session_minute=minute,
        note=note,
        offline_day=idle_day + note * DAY_S / OFFLINE_TRY_S,
        day=idle_day + 4 * (session + 30 * minute),
        files=files,
        log_session=log_session,
        phases=phases,
    )


def _notes(path: Path) -> None:
    """What sync writes when it has tried in vain: each waits for the disk."""
    with contextlib.closing(Store(path)) as store:
        for number in range(NOTES):
            store.note("delivery", {"ok": False, "at": f"{number}", "problem": "no way" * 20})
            _flush(path)  # minutes lie between two of them


def _flush(path: Path) -> None:
    """The whole file system that holds `path`, and no other."""
    subprocess.run(["sync", "--file-system", str(path.parent)], check=True)


def _charged(pid: int) -> int:
    lines = (Path("/proc") / str(pid) / "io").read_text().splitlines()
    found = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return found["write_bytes"] - found["cancelled_write_bytes"]


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[tuple[Path, Path]]:
    """An ext4 as Raspberry Pi OS mounts it, and its counter."""
    image, disk = folder / "card.img", folder / "card"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_MB << 20)
    try:
        subprocess.run(["/sbin/mkfs.ext4", "-q", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop,noatime", str(image), str(disk)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"wear: can't make a separate disk, which needs root: {error}") from None
    try:
        found = subprocess.run(
            ["findmnt", "-n", "-o", "SOURCE", str(disk)], check=True, capture_output=True, text=True
        )
        yield disk, Path("/sys/block") / Path(found.stdout.strip()).name / "stat"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.wear", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    wear = measure()
    if options.json:
        print(json.dumps(asdict(wear), indent=2))
        return 0
    for phase, written in wear.phases.items():
        print(f"{phase:16} {_kb(written.card):>10} kB to the card,"
              f" {_kb(written.processes):>10} kB by the processes")  # fmt: skip
    for name in ("idle_day", "session", "session_minute", "note", "offline_day", "day"):
        print(f"{name:16} {_kb(getattr(wear, name)):>10} kB")
    print(f"{'files':16} {_kb(wear.files):>10} kB")
    print(f"{'log_session':16} {wear.log_session:>10.0f} bytes")
    return 0


def _kb(amount: float) -> str:
    return f"{amount / 1000:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
