"""qemu's sockets: its monitor (QMP), its test port (GPIO lines), and a port into the guest."""

import base64
import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRESS_S = 0.6  # a short one; one of 0.2 s can be over before a busy emulation has debounced it
LONG_PRESS_S = 1.5  # what ends a session
REST_S = 1.0  # between two presses; the debouncing takes long under emulation


class DeviceError(Exception):
    """The emulated device, or the channel to it, did not do what it was asked."""


class Lines:
    """A Unix socket of lines."""

    def __init__(self, path: Path, connect_s: float = 30) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + connect_s
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise DeviceError(f"{path}: can't be connected to: {error}") from error
                time.sleep(0.05)
        self._rest = b""

    def send(self, line: str) -> None:
        """Sends it with its end. Raises DeviceError where qemu has ended."""
        try:
            self._socket.sendall(line.encode() + b"\n")
        except OSError as error:
            raise DeviceError(f"the device is off: {error}") from error

    def read(self, timeout_s: float) -> str:
        """The next line. Raises DeviceError where none comes in time, or qemu has ended."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                raise DeviceError(f"no answer within {timeout_s:.0f} s") from None
            except OSError as error:
                raise DeviceError(f"the device is off: {error}") from error
            if not more:
                raise DeviceError("the device is off")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    def close(self) -> None:
        """Lets go of it; a reader in another thread is woken."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Monitor:
    """QMP: starts the machine, pulls its network cable, knows its parts."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self._lines.read(30)  # its greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """The command's answer. Raises DeviceError where it is refused."""
        self._lines.send(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self._lines.read(30))
            if "error" in answer:
                raise DeviceError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:  # else it is an event
                return answer["return"]

    def path_of(self, kind: str) -> str:
        """Where the part of that kind is in the machine."""
        for each in self.ask("qom-list", path="/machine/unattached"):
            if each["type"] == f"child<{kind}>":
                return f"/machine/unattached/{each['name']}"
        raise DeviceError(f"the machine has no {kind}")

    def close(self) -> None:
        """Lets go of it."""
        self._lines.close()


@dataclass(frozen=True, slots=True)
class Edge:
    """The light went on or off, at a moment of the host's monotonic clock."""

    at_s: float
    on: bool


class Lever:
    """The GPIO lines: a button that pulls one down, and the light that hangs on another."""

    BUTTON, LIGHT = 4, 5

    def __init__(self, path: Path, controller: str) -> None:
        self._lines = Lines(path)
        self._controller = controller
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.light: list[Edge] = []
        self.held_s = 0.0  # when it was pressed last, on the host's monotonic clock
        threading.Thread(target=self._listen, name="gpio", daemon=True).start()
        self._ask(f"irq_intercept_out {controller}")
        self.release()

    def press(self, seconds: float) -> None:
        """Down for so long, and up again; the next press is no sooner than a finger's."""
        self.hold()
        time.sleep(seconds)
        self.release()
        time.sleep(REST_S)

    def hold(self) -> None:
        """The contact closes, to ground."""
        self.held_s = time.monotonic()
        self._set(0)

    def release(self) -> None:
        """The contact opens; the pull-up has the line."""
        self._set(1)

    def close(self) -> None:
        """Lets go of it; ends the listening thread."""
        self._lines.close()

    def _set(self, level: int) -> None:
        self._ask(f"set_irq_in {self._controller} unnamed-gpio-in {self.BUTTON} {level}")

    def _ask(self, line: str) -> None:
        self._lines.send(line)
        try:
            answer = self._answers.get(timeout=30)
        except queue.Empty:
            raise DeviceError(f"{line}: no answer") from None
        if not answer.startswith("OK"):
            raise DeviceError(f"{line}: {answer}")

    def _listen(self) -> None:
        with contextlib.suppress(DeviceError):
            while True:
                line = self._lines.read(86400)
                if line.startswith("IRQ "):
                    _, way, number = line.split()
                    if int(number) == self.LIGHT:
                        self.light.append(Edge(time.monotonic(), way == "raise"))
                else:
                    self._answers.put(line)


class Channel:
    """Commands to a root shell in the guest: see guest/usr/local/sbin/test-channel."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self._number = 0

    def wait(self, timeout_s: float) -> None:
        """Until the guest says hello."""
        while self._lines.read(timeout_s).split(" ")[0] != "hello":
            pass

    def run(self, command: str, timeout_s: float) -> tuple[int, str]:
        """Its exit status and what it said; 124 where it took longer than `timeout_s`."""
        self._number += 1
        encoded = base64.b64encode(command.encode()).decode()
        self._lines.send(f"{self._number} {timeout_s:.0f} {encoded}")
        while True:
            number, status, said = (self._lines.read(timeout_s + 60) + " ").split(" ")[:3]
            if number == str(self._number):
                return int(status), base64.b64decode(said).decode(errors="replace")

    def close(self) -> None:
        """Lets go of it."""
        self._lines.close()


def lines_of(path: Path, timeout_s: float) -> Iterator[str]:
    """What the guest writes to a port, until it is off."""
    port = Lines(path)
    try:
        while True:
            yield port.read(timeout_s)
    except DeviceError:
        return
    finally:
        port.close()
