"""A throw-away PostgreSQL on a free loopback port.

    python -m tests.postgres -- CMD...

runs CMD with `DATABASE_URL` set to it, and ends as CMD ended. Without PostgreSQL installed it ends
with 77. Nothing of the cluster is left behind.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest

DEBIAN = Path("/usr/lib/postgresql")
START_S = 30.0
STOP_S = 20.0
MISSING = 77  # what automake calls a skipped test

# It lives for minutes and holds nothing: no reason to wait for disks.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: on the path, or Debian's newest."""
    if (found := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(found).resolve().parent
    folders = [folder / "bin" for folder in DEBIAN.glob("*") if (folder / "bin/initdb").exists()]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


needs_postgres = pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed")


class Postgres:
    """A cluster in a folder of its own, with `settings` of postgresql.conf.

    `url` is what `DATABASE_URL` takes. With `of`, which runs, it is a streaming replica of that.
    """

    def __init__(self, settings: Sequence[str] = FAST, of: "Postgres | None" = None) -> None:
        found = binaries()
        if found is None:
            raise FileNotFoundError("PostgreSQL is not installed")
        self._bin = found
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="blinklog-postgres-"))
        self.port = _free_port()
        self.url = f"postgres://blinklog@127.0.0.1:{self.port}/postgres"
        # PostgreSQL refuses to be root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
        if of is None:
            self._run("initdb", "-D", "data", "-U", "blinklog", "-A", "trust", "-E", "UTF8", "-N")
        else:
            source = ("-h", "127.0.0.1", "-p", str(of.port), "-U", "blinklog")
            self._run("pg_basebackup", *source, "-D", "data", "-R", "-c", "fast", "-N")

    def start(self) -> None:
        """Returns when it takes connections."""
        settings = [*self._settings, f"port={self.port}", "listen_addresses=127.0.0.1"]
        settings.append("unix_socket_directories=")
        options = [word for setting in settings for word in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", "data", *options],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command; we are told afterwards
                **self._as,
            )
        deadline = time.monotonic() + START_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """At once, with what clients it has cut off."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As a crash would: the next start recovers."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        """Stopped, and gone from the disk."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _ready(self) -> bool:
        command = [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            **self._as,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def main(arguments: Sequence[str]) -> int:
    """Run the command that follows `--`."""
    command = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    if not command:
        sys.stderr.write(__doc__ or "")
        return 2
    if binaries() is None:
        sys.stderr.write("PostgreSQL is not installed: nothing was run\n")
        return MISSING
    signal.signal(signal.SIGTERM, _stopped)
    postgres = Postgres()
    try:
        postgres.start()
        environment = {**os.environ, "DATABASE_URL": postgres.url}
        return subprocess.run(command, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 130
    finally:
        postgres.remove()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
