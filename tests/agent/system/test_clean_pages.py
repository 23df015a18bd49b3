"""Memory of mapped files: given back, read again when it is wanted, and never lost."""

import ctypes
import mmap
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.ear import eye_sample
from agent.face.tracker import FaceTracker
from agent.records import Frame
from agent.system import clean_pages
from scripts.portrait import Portrait

MB = 1024 * 1024
CONTENT = bytes(range(256)) * 4096


def resident_kb(path: str) -> int:
    """How much of files whose paths end so this process has in memory, in kB."""
    maps = Path("/proc/self/smaps").read_text(errors="replace")
    return sum(int(kb) for kb in re.findall(rf"{path}\n(?:.*\n)*?Rss: +(\d+) kB", maps))


def mapped(path: Path, flags: int, prot: int) -> mmap.mmap:
    """A file of 1 MB, mapped and read once."""
    path.write_bytes(CONTENT)
    with path.open("r+b") as file:
        made = mmap.mmap(file.fileno(), 0, flags=flags, prot=prot)
    assert made[:] == CONTENT
    assert resident_kb(re.escape(str(path))) == MB / 1024
    return made


@pytest.mark.parametrize("name", ["weights", "with a space"])
@pytest.mark.parametrize("flags", [mmap.MAP_SHARED, mmap.MAP_PRIVATE])
def test_a_mapped_file_is_given_back_and_stays_readable(
    tmp_path: Path, name: str, flags: int
) -> None:
    path = tmp_path / name
    made = mapped(path, flags, mmap.PROT_READ)
    clean_pages.release()
    assert resident_kb(re.escape(str(path))) == 0
    assert made[:] == CONTENT


def test_what_can_be_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    made = mapped(path, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    made[:4] = b"mine"
    clean_pages.release()
    assert made[:4] == b"mine"
    assert resident_kb(re.escape(str(path))) == MB / 1024


def test_what_was_written_before_it_was_protected_is_not_lost(tmp_path: Path) -> None:
    """So the linker does it with the addresses in a library."""
    made = mapped(tmp_path / "library", mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    made[:4] = b"mine"
    start = ctypes.addressof(ctypes.c_char.from_buffer(made))
    protected = ctypes.CDLL(None).mprotect(
        ctypes.c_void_p(start), ctypes.c_size_t(MB), mmap.PROT_READ
    )
    assert protected == 0
    clean_pages.release()
    assert made[:4] == b"mine"


@pytest.mark.parametrize(
    ("mode", "name", "safe"),
    [
        ("r-xp", [__file__], True),
        ("r--s", [__file__], True),
        ("rw-p", [__file__], False),
        ("r--s", ["/dev/zero"], False),
        ("r--s", ["/dmabuf:"], False),
        ("r--p", [f"{__file__} (deleted)"], False),
        ("r--p", ["[vvar]"], False),
        ("r--p", [], False),
    ],
)
def test_only_regular_files_that_are_not_written_are_given_back(
    mode: str, name: list[str], safe: bool
) -> None:
    assert clean_pages._is_safe(mode, "00000000", "08:01", "7", *name) is safe


def test_a_tracker_goes_on_as_before(
    new_tracker: Callable[[], FaceTracker], portrait: Portrait
) -> None:
    """Its models are not in memory twice, as files and as the runtime's own copies."""
    frames = [Frame(n / 30, portrait.frame(1 - n / 40)) for n in range(20)]
    tracker, other = new_tracker(), new_tracker()
    expected = [eye_sample(frame.time_s, other.find(frame)) for frame in frames]
    assert resident_kb(r"\.tflite") > 0
    clean_pages.release()
    assert resident_kb(r"\.tflite") == 0
    assert [eye_sample(frame.time_s, tracker.find(frame)) for frame in frames] == expected
    assert resident_kb(r"\.tflite") == 0


def test_a_system_without_it_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(*_: object, **__: object) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(clean_pages.ctypes, "CDLL", no_library)
    clean_pages.release()
