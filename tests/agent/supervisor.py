"""What systemd does for a service of Type=notify with WatchdogSec and Restart=always, no more."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

START_S = 60.0
ABORT_S = 2.0  # for a process to die of SIGABRT before it is killed


class Supervisor:
    """Runs `command` again whenever it ends, and ends it where it was ready and then says nothing
    for `watchdog_s` seconds. `ends` tells how it ended each time: "watchdog", or its exit status.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        watchdog_s: float,
        environment: Mapping[str, str],
    ) -> None:
        self.ends: list[str] = []
        self.statuses: list[str] = []
        self.log = folder / "service.log"
        self._command = command
        self._watchdog_s = watchdog_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.settimeout(0.05)
        self._environment = {
            **os.environ,
            **environment,
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": str(round(1e6 * watchdog_s)),
        }
        self._start()

    @property
    def ready(self) -> bool:
        """Whether it said so since it was started."""
        return self._ready_s is not None

    @property
    def pid(self) -> int:
        """Of the process, as it is now."""
        return self._process.pid

    def run_until(self, condition: Callable[[], object], what: str) -> None:
        """Supervises until `condition()` is true; what never happens is an error."""
        until_s = time.monotonic() + START_S
        while not condition():
            assert time.monotonic() < until_s, f"never happened: {what}\n{self.log.read_text()}"
            self._supervise()

    def signal(self, number: signal.Signals) -> None:
        """To the process, as it is now."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """For good."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _start(self) -> None:
        self._ready_s: float | None = None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )

    def _supervise(self) -> None:
        with contextlib.suppress(TimeoutError):
            self._hear(self._socket.recv(4096).decode())
        if self._process.poll() is not None:
            self.ends.append(str(self._process.returncode))
            self._start()
        elif self._ready_s is not None and time.monotonic() - self._ready_s > self._watchdog_s:
            self._abort()
            self.ends.append("watchdog")
            self._start()

    def _hear(self, message: str) -> None:
        name, _, value = message.partition("=")
        if name == "READY" or (name == "WATCHDOG" and self.ready):
            self._ready_s = time.monotonic()
        elif name == "STATUS":
            self.statuses.append(value)

    def _abort(self) -> None:
        self._process.send_signal(signal.SIGABRT)
        try:
            self._process.wait(ABORT_S)
        except subprocess.TimeoutExpired:  # stopped, or in the kernel
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def supervised(
    command: Sequence[str], folder: Path, watchdog_s: float, **environment: str
) -> Iterator[Supervisor]:
    """A service, ready, for as long as the block lasts."""
    supervisor = Supervisor(command, folder, watchdog_s, environment)
    try:
        supervisor.run_until(lambda: supervisor.ready, "it is ready")
        yield supervisor
    finally:
        supervisor.stop()
