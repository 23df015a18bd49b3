"""Mount the recording file system and return its log."""

import ctypes.util
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.powercuts.log import MARKS, Change

START_S = 20.0
Marker = Callable[[str], None]


class RecordingError(Exception):
    """The file system could not be mounted, or ended early."""


def unavailable() -> str | None:
    """Return why nothing can be recorded here, or None."""
    if os.geteuid() != 0:
        return "mounting a FUSE file system needs root"
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    if not ctypes.util.find_library("fuse3"):
        return "libfuse3 is not installed (Debian: fuse3)"
    return None


def scratch_folder() -> Path | None:
    """Return a folder in memory for what is thrown away, or None for the usual one."""
    return next((path for path in (Path("/dev/shm"),) if os.access(path, os.W_OK)), None)


def record(drive: Callable[[Path, Marker], None], content: Path | None = None) -> list[Change]:
    """Run `drive` on a file system that begins with a copy of `content`; return its log.

    `drive` is given the folder, and a function that puts a mark into the log. What it raises is
    raised. Raises RecordingError.
    """
    with tempfile.TemporaryDirectory(prefix="blinklog-cuts-", dir=scratch_folder()) as scratch:
        mountpoint, log = Path(scratch) / "mount", Path(scratch) / "log"
        mountpoint.mkdir()
        command = [sys.executable, "-m", "bench.powercuts.filesystem", mountpoint, log]
        process = subprocess.Popen([*map(str, command), *([str(content)] if content else [])])
        try:
            _await_mount(mountpoint, process)
            marks = os.open(mountpoint / MARKS, os.O_WRONLY)
            try:
                drive(mountpoint, lambda text: _mark(marks, text))
            finally:
                os.close(marks)
        finally:
            _unmount(mountpoint, process)
        if not log.exists():
            raise RecordingError(f"the file system ended with {process.returncode}")
        changes: list[Change] = pickle.loads(log.read_bytes())
        return changes


def _mark(file: int, text: str) -> None:
    os.write(file, f"{text}\n".encode())


def _await_mount(mountpoint: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while not (mountpoint / MARKS).exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RecordingError(f"{mountpoint} was not mounted")
        time.sleep(0.01)


def _unmount(mountpoint: Path, process: "subprocess.Popen[bytes]") -> None:
    if mountpoint.is_mount():
        subprocess.run(["umount", str(mountpoint)], check=False)
    try:
        process.wait(START_S)
    except subprocess.TimeoutExpired:
        subprocess.run(["umount", "--lazy", str(mountpoint)], check=False)
        process.kill()
        process.wait()
