"""Records in, arrived, lost and doubled, of Blinklog and of a published gateway, killed alike.

    python -m bench.gateway [--kills N] [--seed N] [--json]

Each makes a record every 50 ms and delivers it over HTTP to a server of its own, while processes
are killed (kill -9) at random moments, the same for both, and started again. A record counts as in
once its storage has accepted it, and as doubled each time that it arrives again. In the end
everything runs until nothing is unsent.
"""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.environments import ROOT, thingsboard_python
from tests.broker import free_port
from tests.faults.launcher import until

HERE = Path(__file__).resolve().parent
PACE_S = 0.05
UP_S = 1.5  # the longest that a process lives on once it has done something
DOWN_S = 0.5
BOUND_S = 400.0  # for one step; the longest delay of sync is 300 s
QUIET_S = 10.0  # with nothing unsent, nothing more arrives
VICTIMS = {
    "kill -9 of the device's process": ("device",),
    "kill -9 of the server": ("server",),
    "kill -9 of either": ("device", "server"),
}

Command = Callable[..., list[str]]


@dataclass(frozen=True, slots=True)
class Row:
    """What became of the records of one side.

    `lost_within_s`: the longest time for which a lost record had been accepted when the device's
    process was killed; None if none was lost.
    """

    side: str
    fault: str
    kills: int
    records: int
    arrived: int
    lost: int
    doubled: int
    lost_within_s: float | None


class Side:
    """One side in a folder of its own: the device's process and its server."""

    def __init__(self, folder: Path, command: Command) -> None:
        self._folder = folder
        self._command = command
        self._port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.killed_s: list[float] = []

    def start(self, name: str) -> None:
        """Start the device's process or the server."""
        port, folder = str(self._port), str(self._folder)
        command = (
            [sys.executable, str(HERE / "receiver.py"), port, f"{folder}/arrived"]
            if name == "server"
            else self._command(folder, port, str(PACE_S))
        )
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """kill -9 of the device's process or of the server."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()
        if name == "device":
            self.killed_s.append(time.monotonic())

    def close(self) -> None:
        """End both."""
        for name in list(self._processes):
            self.kill(name)

    def accepted(self) -> dict[str, float]:
        """Return the records that the storage has accepted, each with the time."""
        lines = _lines(self._folder / "journal")
        return {record: float(at) for record, at in (line.split() for line in lines)}

    def arrived(self) -> Counter[str]:
        """Return how often each record has arrived."""
        return Counter(_lines(self._folder / "arrived"))

    def stop_making(self) -> None:
        """Let the device deliver what it has, and make no more records."""
        (self._folder / "enough").touch()

    def idle(self) -> bool:
        """Return whether the device has nothing unsent, as far as it has said."""
        return (self._folder / "idle").exists()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a record of Blinklog's is lost."""
    options = _options(arguments)
    sides: dict[str, Command] = {"Blinklog": _blinklog}
    if (python := thingsboard_python()) is not None:
        sides[_version()] = lambda *given: [str(python), str(HERE / "thingsboard.py"), *given]
    rows = [
        _row(side, fault, options.kills, options.seed, command)
        for fault in VICTIMS
        for side, command in sides.items()
    ]
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else _table(rows))
    return int(any(row.lost for row in rows if row.side == "Blinklog"))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=30, metavar="N", help="in each row (30)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills (1)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


def _blinklog(*given: str) -> list[str]:
    return [sys.executable, "-m", "bench.gateway.blinklog", *given]


def _version() -> str:
    pins = (ROOT / "requirements" / "thingsboard-gateway.txt").read_text().splitlines()
    return next(pin for pin in pins if pin.startswith("thingsboard-gateway")).replace("==", " ")


def _row(side: str, fault: str, kills: int, seed: int, command: Command) -> Row:
    print(f"{kills:4} x {fault}, {side}", file=sys.stderr, flush=True)
    chance = random.Random(seed)
    with _running(command) as running:
        for _ in range(kills):
            _kill_one(running, chance.choice(VICTIMS[fault]), chance)
        _settle(running)
        accepted, arrived = running.accepted(), running.arrived()
        lost = [at for record, at in accepted.items() if record not in arrived]
        return Row(
            side=side,
            fault=fault,
            kills=kills,
            records=len(accepted),
            arrived=len(accepted) - len(lost),
            lost=len(lost),
            doubled=arrived.total() - len(arrived),
            lost_within_s=_longest_s(lost, running.killed_s),
        )


@contextlib.contextmanager
def _running(command: Command) -> Iterator[Side]:
    with tempfile.TemporaryDirectory(prefix="blinklog-gateway-") as folder:
        side = Side(Path(folder), command)
        try:
            side.start("server")
            side.start("device")
            yield side
        finally:
            side.close()


def _kill_one(side: Side, name: str, chance: random.Random) -> None:
    """Kill it a random time after a record was accepted or has arrived since its start."""
    seen = side.accepted if name == "device" else side.arrived
    before = len(seen())
    until(lambda: len(seen()) > before, f"the {name} does something", BOUND_S)
    time.sleep(chance.uniform(0, UP_S))
    side.kill(name)
    time.sleep(chance.uniform(0, DOWN_S))
    side.start(name)


def _settle(side: Side) -> None:
    """Make no more records, and wait until all have arrived or nothing is unsent for a while."""
    side.stop_making()
    busy_s = time.monotonic()

    def settled() -> bool:
        nonlocal busy_s
        if not side.idle():
            busy_s = time.monotonic()
        return (
            not side.accepted().keys() - side.arrived().keys()
            or time.monotonic() - busy_s > QUIET_S
        )

    until(settled, "nothing is unsent", BOUND_S, every_s=0.2)


def _longest_s(accepted_s: Sequence[float], killed_s: Sequence[float]) -> float | None:
    """Return the longest time from the acceptance of a record to the kill that followed."""
    ages = [min((kill - at for kill in killed_s if kill >= at), default=0.0) for at in accepted_s]
    return round(max(ages), 2) if ages else None


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _table(rows: Sequence[Row]) -> str:
    width = max(len(row.side) for row in rows)
    faults = max(map(len, VICTIMS))
    head = f"{'':{width}}  {'what was done':{faults}}  kills  records in  arrived  lost  doubled"
    lines = [
        f"{row.side:{width}}  {row.fault:{faults}}  {row.kills:5}  {row.records:10}"
        f"  {row.arrived:7}  {row.lost:4}  {row.doubled:7}{_within(row)}"
        for row in rows
    ]
    return "\n".join([head, "-" * len(head), *lines])


def _within(row: Row) -> str:
    if row.lost_within_s is None:
        return ""
    return f"  lost: accepted at most {row.lost_within_s:.2f} s before the kill"
