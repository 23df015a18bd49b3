"""A small disk of its own, which a test can fill."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A tmpfs of `size`, such as "4m". Skips the test without root."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted without being root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def room_left(disk: Path) -> int:
    """In bytes."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def fill(disk: Path, leaving: int) -> Path:
    """Fills the disk but for `leaving` bytes. Returns the file that does."""
    filler = disk / "logs"
    with filler.open("ab", buffering=0) as file:
        while room_left(disk) > leaving:
            file.write(bytes(min(1 << 16, max(4096, room_left(disk) - leaving))))
    return filler
