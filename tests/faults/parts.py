"""The programs of an installation, each to be killed and started again."""

import signal
from pathlib import Path
from typing import Protocol

from tests.broker import Broker
from tests.faults.launcher import Launcher, Process

Dies = tuple[str, int]


class Part(Protocol):
    """What can be killed and started again."""

    def start(self) -> None:
        """Starts it."""

    def kill(self) -> None:
        """kill -9."""

    def alive(self) -> bool:
        """Whether it runs."""


class Program:
    """One program of the installation, started as often as it takes."""

    def __init__(self, launcher: Launcher, call: str, *arguments: str | Path, log: Path) -> None:
        self._launcher = launcher
        self._call = call
        self._arguments = arguments
        self.log = log
        self.process: Process | None = None

    def start(self, dies: Dies | None = None) -> None:
        """Starts it, to die at a crash point if one is named."""
        self.kill()
        self.process = self._launcher.start(self._call, *self._arguments, log=self.log, dies=dies)

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.alive()

    def kill(self) -> None:
        """kill -9. Of what is dead, nothing."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def pause(self) -> None:
        """It keeps its connections and does nothing, until it is resumed or killed."""
        assert self.process is not None
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Ends `pause`."""
        assert self.process is not None
        self.process.signal(signal.SIGCONT)

    def words(self) -> str:
        """The last of what it said."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


class BrokerPart:
    """The broker as a part."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._runs = False

    def start(self) -> None:
        """Returns when it listens."""
        self.kill()
        self.broker.start()
        self._runs = True

    def kill(self) -> None:
        """kill -9. Of what is dead, nothing."""
        if self._runs:
            self.broker.kill()
            self._runs = False

    def alive(self) -> bool:
        """Whether it runs: nobody but us ends it."""
        return self._runs
