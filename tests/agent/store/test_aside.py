"""The files beside the store: a name for each damaged one, and the length that its header says."""

from pathlib import Path

import pytest

from agent.store.aside import LENGTH_CAP, PAGE_BYTES, aside_name, restore_length


def header(page: int, pages: int) -> bytes:
    """As SQLite's file format has it, sections 1.3.2 and 1.3.8."""
    return b"SQLite format 3\x00" + page.to_bytes(2, "big") + bytes(10) + pages.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("page", "pages", "length"),
    [
        (PAGE_BYTES, 3, 3 * PAGE_BYTES),
        (PAGE_BYTES, 0x1_0203, 0x1_0203 * PAGE_BYTES),
        (PAGE_BYTES, 0, 32),
        (8192, 3, 32),
        (8192, 0x1_0000, 32),
        (PAGE_BYTES, LENGTH_CAP // PAGE_BYTES + 1, 32),
        (PAGE_BYTES, 0x0100_0003, 32),
        (PAGE_BYTES, 0xFFFF_FFFF, 32),
    ],
)
def test_a_cut_file_gets_the_length_of_its_header_if_that_can_be_one(
    tmp_path: Path, page: int, pages: int, length: int
) -> None:
    path = tmp_path / "agent.sqlite3"
    path.write_bytes(header(page, pages))
    restore_length(path)
    assert path.stat().st_size == length
    assert path.stat().st_blocks * 512 <= PAGE_BYTES, "what is added takes no room"


def test_a_longer_file_than_its_header_says_keeps_its_end(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite3"
    path.write_bytes(content := header(PAGE_BYTES, 2) + b"x" * 3 * PAGE_BYTES)
    restore_length(path)
    assert path.read_bytes() == content


def test_each_damaged_store_gets_a_name_of_its_own(tmp_path: Path) -> None:
    names = set()
    for _ in range(30):
        name = aside_name(tmp_path / "agent.sqlite3")
        name.touch()
        names.add(name.name)
    assert len(names) == 30
    assert all(each.startswith("agent.damaged-2") for each in names)
    assert all(each.endswith(".sqlite3") for each in names), "as `delete_oldest` looks for them"
