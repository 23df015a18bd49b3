"""Processes that end with the demo, the broker's configuration, and free ports."""

import contextlib
import ctypes
import getpass
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1  # prctl(2): a child gets a signal when its parent dies


class DemoError(Exception):
    """The demo can't go on; the message says why."""


@dataclass
class Processes:
    """What the demo started: each with its log, all stopped at the end, the last one first."""

    folder: Path
    running: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for _name, process in reversed(self.running):
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(
        self, name: str, *command: str | Path, env: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        """Starts a process that dies with this one."""
        with self.log(name).open("wb") as out:
            process = subprocess.Popen(
                [str(each) for each in command],
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we stop them in our order
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - there is one thread
            )
        self.running.append((name, process))
        return process

    def log(self, name: str) -> Path:
        """Where the process's words are."""
        return self.folder / f"{name}.log"

    def words(self, name: str) -> str:
        """The last of what it said."""
        return self.log(name).read_text(errors="replace")[-2000:]

    def check(self) -> None:
        """Raises DemoError if one of them has ended."""
        for name, process in self.running:
            if process.poll() is not None:
                raise DemoError(
                    f"{name} ended with status {process.returncode}:\n{self.words(name)}"
                )

    def wait_for(self, what: str, ask: Callable[[], Any], timeout_s: float) -> Any:
        """Asks until the answer is true, at most `timeout_s` seconds."""
        until = time.monotonic() + timeout_s
        while True:
            self.check()
            with contextlib.suppress(requests.ConnectionError):
                if answer := ask():
                    return answer
            if time.monotonic() > until:
                raise DemoError(f"{what} did not appear within {timeout_s:.0f} s")
            time.sleep(0.1)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def broker_configuration(folder: Path, port: int, users: dict[str, str]) -> Path:
    """The product's own rules, on a loopback port; the passwords go by standard input, hashed."""
    deployed = ROOT / "deploy" / "mosquitto"
    folder.mkdir()
    passwords = folder / "passwords"
    passwords.touch(mode=0o600)
    for name, password in users.items():
        subprocess.run(
            ["mosquitto_passwd", passwords, name],
            input=f"{password}\n{password}\n".encode(),
            stdout=subprocess.DEVNULL,
            timeout=30,
            check=True,
        )
    path = folder / "broker.conf"
    path.write_text(
        f"listener {port} 127.0.0.1\n"
        f"user {getpass.getuser()}\n"
        f"persistence_location {folder}/\n"
        f"include_dir {deployed}\n"
        f"password_file {passwords}\n"
        f"acl_file {deployed / 'acl'}\n"
    )
    return path


def free_port(wish: int) -> int:
    """`wish` where nobody listens on it (0 is any), else a free port of the loopback interface."""
    for port in (wish, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise DemoError("no free port on the loopback interface")
