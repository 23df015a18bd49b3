"""What a power cut may leave: as much as POSIX permits, and nothing that was fsynced is touched."""

import stat
import tempfile
from pathlib import Path
from random import Random

import pytest

from bench.powercuts.disk import PAGE, SECTOR, Disk
from bench.powercuts.log import ROOT, Change, Mark, Names, New, Resize, Sync, Write

FILE, OTHER = 2, 3
CUTS = 300


def file(inode: int, name: str) -> list[Change]:
    """The creation of a file in the root."""
    return [New(inode, stat.S_IFREG | 0o600), Names((((ROOT, name), inode),))]


def move(old: str, new: str, inode: int) -> Names:
    return Names((((ROOT, old), None), ((ROOT, new), inode)))


BEGIN: list[Change] = [New(ROOT, stat.S_IFDIR | 0o755)]
THERE = [*BEGIN, *file(FILE, "a"), Sync(ROOT)]
OLD, NEW = b"o" * PAGE, b"n" * PAGE


@pytest.fixture
def left(tmp_path: Path):
    """All that cuts at the end of a log leave: the files' contents by their names."""

    def leave(log: list[Change]) -> set[tuple[tuple[str, bytes], ...]]:
        disk, found = Disk(log), set()
        disk.at(len(log))
        for seed in range(CUTS):
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            disk.write_to(folder, Random(seed))
            found.add(tuple((path.name, path.read_bytes()) for path in sorted(folder.iterdir())))
        return found

    return leave


def contents(found: set[tuple[tuple[str, bytes], ...]]) -> set[bytes]:
    return {dict(each)["a"] for each in found}


def test_what_was_fsynced_is_there_whatever_is_drawn(left):
    log = [*THERE, Write(FILE, 0, OLD), Resize(FILE, 100), Write(FILE, 50, NEW), Sync(FILE)]
    assert left(log) == {(("a", OLD[:50] + NEW),)}


def test_a_file_that_was_not_fsynced_may_be_empty_though_its_name_is_there(left):
    found = contents(left([*THERE, Write(FILE, 0, NEW)]))
    assert {b"", NEW} <= found


def test_a_name_may_be_missing_until_its_folder_is_fsynced(left):
    created = [*BEGIN, *file(FILE, "a"), Write(FILE, 0, b"data"), Sync(FILE)]
    assert left(created) == {(), (("a", b"data"),)}
    assert left([*created, Sync(ROOT)]) == {(("a", b"data"),)}


def test_a_rename_comes_without_its_data_but_never_by_halves(left):
    log = [*THERE, Write(FILE, 0, OLD), Sync(FILE), *file(OTHER, "new")]
    found = left([*log, Write(OTHER, 0, NEW), move("new", "a", OTHER)])
    assert (("a", b""),) in found
    assert all(len(each) == 1 or dict(each)["a"] == OLD for each in found)
    assert all("a" in dict(each) for each in found)


def test_removals_and_links_may_be_undone(left):
    linked = [*THERE, Write(FILE, 0, OLD), Sync(FILE), Names((((ROOT, "b"), FILE),))]
    names = {tuple(dict(each)) for each in left([*linked, Names((((ROOT, "a"), None),))])}
    assert names == {("a",), ("a", "b"), ("b",), ()}


def test_pages_come_in_any_order_and_torn_at_sectors(left):
    log = [*THERE, Write(FILE, 0, OLD * 2), Sync(FILE), Write(FILE, 0, NEW * 2)]
    found = contents(left(log))
    assert {OLD + NEW, NEW + OLD} <= found
    torn = [each[:PAGE] for each in found if each[:PAGE] not in (OLD, NEW)]
    assert torn
    sectors = {page[at : at + SECTOR] for page in torn for at in range(0, PAGE, SECTOR)}
    assert sectors == {OLD[:SECTOR], NEW[:SECTOR]}


def test_a_longer_file_may_have_zeros_for_what_is_missing(left):
    found = contents(left([*THERE, Write(FILE, 0, NEW), Write(FILE, PAGE, NEW)]))
    assert bytes(PAGE) + NEW in found


def test_a_truncation_may_be_missing_but_not_the_truncation_of_pages_written_after_it(left):
    log = [*THERE, Write(FILE, 0, OLD * 2), Sync(FILE), Resize(FILE, 0)]
    assert {b"", OLD * 2} <= contents(left(log))
    after = contents(left([*log, Write(FILE, 0, NEW)]))
    assert {b"", NEW, OLD * 2} <= after
    assert all(len(each) <= PAGE or each == OLD * 2 for each in after)
    assert all(b"o" not in each for each in after if len(each) <= PAGE)


def test_marks_are_those_before_the_cut():
    disk = Disk([*THERE, Mark("one"), Write(FILE, 0, b"x"), Mark("two")])
    disk.at(len(THERE) + 2)
    assert disk.marks == ["one"]
