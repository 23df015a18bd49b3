"""Memory of mapped files: given back, and read again from the file when it is wanted."""

import mmap
import re
from pathlib import Path

import pytest

from agent.face import mapped_memory

MB = 1024 * 1024


def resident_kb(path: Path) -> int:
    """How much of `path` this process has in memory, in kB."""
    maps = Path("/proc/self/smaps").read_text()
    return sum(
        int(kb) for kb in re.findall(rf"{re.escape(str(path))}\n(?:.*\n)*?Rss: +(\d+) kB", maps)
    )


@pytest.mark.parametrize("name", ["weights", "with a space"])
def test_a_mapped_file_is_released_and_stays_readable(tmp_path: Path, name: str) -> None:
    path, content = tmp_path / name, bytes(range(256)) * 4096
    path.write_bytes(content)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        assert mapped[:] == content
        assert resident_kb(path) == MB / 1024
        mapped_memory.release(file)
        assert resident_kb(path) == 0
        assert mapped[:] == content


def test_what_could_be_lost_is_not_released(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(MB))
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE)
        mapped[:4] = b"mine"
        mapped_memory.release(file)
        assert mapped[:4] == b"mine"


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(bytes(MB))
    with paths[0].open("rb") as first, paths[1].open("rb") as second:
        mapped = mmap.mmap(first.fileno(), 0, prot=mmap.PROT_READ)
        mapped[:]
        mapped_memory.release(second)
        assert resident_kb(paths[0]) == MB / 1024


def test_a_system_without_it_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(*_: object, **__: object) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(mapped_memory.ctypes, "CDLL", no_library)
    path = tmp_path / "weights"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        mapped_memory.release(file)
