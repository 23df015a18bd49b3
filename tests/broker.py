"""A real Mosquitto on a free loopback port, to be killed and started again on the same one."""

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from getpass import getuser
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parent.parent / "deploy" / "mosquitto"
SEARCH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"  # sbin is not in everybody's PATH
START_S = 10.0

needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto", path=SEARCH) is None, reason="Mosquitto is not installed"
)


class Broker:
    """Mosquitto with its files in `directory`.

    With `users`, name to password, it runs the configuration and access rules of deploy/mosquitto;
    without them everybody may do everything. `certificate` and `key` make it speak TLS.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        directory: Path,
        users: Mapping[str, str] | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        port: int = 0,
    ) -> None:
        self.port = port or free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            f"listener {self.port} {self.host}",
            f"user {getuser()}",  # started by root, it would become somebody who can't read these
            f"persistence_location {directory}/",
            f"log_dest file {directory / 'broker.log'}",
        ]
        if certificate is not None:
            lines += [f"certfile {certificate}", f"keyfile {key}"]
        if users is None:
            lines += ["allow_anonymous true", "persistence true"]
        else:
            self._write_passwords(users)
            lines += [
                f"include_dir {DEPLOY}",
                f"password_file {directory / 'passwords'}",
                f"acl_file {DEPLOY / 'acl'}",
            ]
        (directory / "broker.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Returns when it listens."""
        self._process = subprocess.Popen(
            [*_dying_with_us(), _program("mosquitto"), "-c", str(self._directory / "broker.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Mosquitto did not start: {self.log()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order. Twice is once."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """It keeps its connections and says nothing until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Ends `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has said."""
        file = self._directory / "broker.log"
        return file.read_text() if file.exists() else "nothing said"

    def _write_passwords(self, users: Mapping[str, str]) -> None:
        file = self._directory / "passwords"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        subprocess.run([_program("mosquitto_passwd"), "-U", str(file)], check=True)

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_S)
            self._process = None


@contextlib.contextmanager
def running_broker(
    directory: Path,
    users: Mapping[str, str] | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
) -> Iterator[Broker]:
    """A broker for as long as the block lasts."""
    broker = Broker(directory, users, certificate, key)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def free_port() -> int:
    """A port that nobody listens on now, outside the range that outgoing connections take theirs
    from: while its owner is down, nobody else gets it."""
    for port in random.sample(range(15000, 32000), 100):
        with socket.socket() as found, contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("a hundred ports, and none is free")


def _dying_with_us() -> list[str]:
    """A prefix that ends a command when its parent is killed, where util-linux has it."""
    setpriv = shutil.which("setpriv", path=SEARCH)
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _program(name: str) -> str:
    path = shutil.which(name, path=SEARCH)
    assert path is not None, f"{name} is not installed"
    return path
