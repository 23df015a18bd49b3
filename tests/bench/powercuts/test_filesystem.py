"""The recording file system: programs see an ordinary one, and the log has all that they did."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from bench.powercuts.disk import Disk
from bench.powercuts.log import Change, Mark, Names, Sync
from bench.powercuts.recording import Marker, record, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")


def test_what_programs_did_is_what_the_log_leaves_once_it_is_fsynced(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"before")

    def drive(folder: Path, _: object) -> None:
        assert (folder / "there").read_bytes() == b"before"
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "file").write_bytes(os.urandom(10_000))
        os.truncate(folder / "a" / "file", 9_000)
        (folder / "a" / "file").rename(folder / "a" / "b" / "moved")
        (folder / "again").hardlink_to(folder / "a" / "b" / "moved")
        (folder / "link").symlink_to("a/b/moved")
        assert (folder / "link").read_bytes() == (folder / "again").read_bytes()
        (folder / "there").chmod(0o640)
        (folder / "gone").touch()
        (folder / "gone").unlink()
        assert {path.name for path in folder.iterdir()} == {"a", "again", "link", "there"}
        nonlocal seen
        seen = _tree(folder)

    seen: dict[str, object] = {}
    log = record(drive, tmp_path)
    left = tmp_path / "left"
    left.mkdir()
    disk = Disk([*log, Sync(None)])
    disk.at(len(log) + 1)
    disk.write_to(left, Random(0))
    assert _tree(left) == seen


def test_sqlite_has_locks_shared_memory_and_an_fsync_for_each_commit(tmp_path: Path) -> None:
    def drive(folder: Path, mark: Marker) -> None:
        one, two = (sqlite3.connect(folder / "db", timeout=0) for _ in range(2))
        with closing(one), closing(two):
            assert one.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
            one.execute("CREATE TABLE numbers (number)")
            one.execute("PRAGMA synchronous = FULL")
            mark("before")
            one.execute("BEGIN IMMEDIATE")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                two.execute("BEGIN IMMEDIATE")
            one.execute("INSERT INTO numbers VALUES (1)")
            one.commit()
            mark("after")
            assert two.execute("SELECT * FROM numbers").fetchall() == [(1,)]

    log = record(drive, tmp_path)
    commit = log[log.index(Mark("before")) : log.index(Mark("after"))]
    assert isinstance(commit[-1], Sync)


def test_a_rename_over_an_open_file_is_one_change(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")

    def drive(folder: Path, mark: Marker) -> None:
        with (folder / "old").open("rb") as file:
            mark("before")
            (folder / "new").replace(folder / "old")
            assert file.read() == b"old"
        assert (folder / "old").read_bytes() == b"new"

    log = record(drive, tmp_path)
    changes: list[Change] = log[log.index(Mark("before")) + 1 :]
    assert [type(each) for each in changes] == [Names]


def _tree(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = path.read_bytes(), path.stat().st_mode, path.stat().st_nlink
        else:
            found[name] = None
    return found


def test_each_mark_is_whole_however_many_there_are() -> None:
    marks = [f"mark {number}" for number in range(2000)]

    def drive(_: Path, mark: Marker) -> None:
        for each in marks:
            mark(each)

    assert [each for each in record(drive) if isinstance(each, Mark)] == [Mark(m) for m in marks]
