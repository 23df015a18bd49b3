"""The two sides: how their processes are started."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.environments import ROOT, thingsboard_python
from tests.broker import free_port

HERE = Path(__file__).resolve().parent
PACE_S = 0.05


@dataclass(frozen=True, slots=True)
class Side:
    """A storage with its delivery: its name, and what runs it."""

    name: str
    command: tuple[str, ...]


BLINKLOG = Side("Blinklog", (sys.executable, "-m", "bench.gateway.blinklog"))


def sides() -> list[Side]:
    """Return Blinklog, and the other gateway if it can be had."""
    python = thingsboard_python()
    if python is None:
        return [BLINKLOG]
    return [BLINKLOG, Side(_version(), (str(python), str(HERE / "thingsboard.py")))]


def _version() -> str:
    pins = (ROOT / "requirements" / "thingsboard-gateway.txt").read_text().splitlines()
    return next(pin for pin in pins if pin.startswith("thingsboard-gateway")).replace("==", " ")


class Processes:
    """The device's process and its server. `control` holds the journal and what has arrived."""

    def __init__(self, side: Side, control: Path, data: Path) -> None:
        self._side = side
        self._control = control
        self._data = data
        self._port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start the device's process or the server."""
        port, control = str(self._port), str(self._control)
        command = (
            [sys.executable, str(HERE / "receiver.py"), port, f"{control}/arrived"]
            if name == "server"
            else [*self._side.command, control, str(self._data), port, str(PACE_S)]
        )
        with (self._control / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self, name: str) -> bool:
        """kill -9 of the device's process or of the server; return whether it was there."""
        process = self._processes.pop(name)
        there = process.poll() is None
        process.kill()
        process.wait()
        return there

    def close(self) -> None:
        """End both."""
        for name in list(self._processes):
            self.kill(name)

    def lines(self, name: str) -> list[str]:
        """Return the lines of `journal` or of `arrived`."""
        file = self._control / name
        return file.read_text().splitlines() if file.exists() else []

    def stop_making(self) -> None:
        """Let the device deliver what it has, and make no more records."""
        (self._control / "enough").touch()

    def begun(self) -> bool:
        """Return whether the device has opened its storage."""
        return (self._control / "begun").exists()

    def idle(self) -> bool:
        """Return whether the device has nothing unsent, as far as it has said."""
        return (self._control / "idle").exists()
