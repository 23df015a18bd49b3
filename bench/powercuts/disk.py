"""What a power cut may leave of a recording.

A file's content is on the disk after an fsync of the file, a folder's names after an fsync of the
folder. Of everything else an arbitrary part, drawn at each cut, reaches the disk:

- any of the 4 KiB pages that were written, in any order, each as it was after any of its writes;
- torn pages: some 512-byte sectors of a page from one write, the rest from an earlier one;
- any of the sizes that a file had, with zeros for pages that are missing;
- any of the creations, links, renames and removals, without their data: a file may be empty.

What it never leaves, because no journalled file system does:

- half a rename, and a change of a name without the earlier changes of the same name;
- the content of other or deleted files in place of data (ext4 with data=ordered, its default);
- data written after a truncation, in the pages that it removed, without the truncation.

That is harsher than ext4, which commits names in order and with any fsync, and whose replacing
rename waits for the data (auto_da_alloc); than XFS and Btrfs, where the fsync of a new file keeps
its name; and than SQLite needs. It is the least that POSIX promises, but for two things:
a sector is written whole or not at all, and a sector that was not written stays as it is. A card
that loses what it had reported as written, or damages its neighbours, is not covered.
"""

import random
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.powercuts.log import (
    ROOT,
    Change,
    Mark,
    Mode,
    Name,
    Names,
    New,
    Resize,
    Sync,
    Write,
)

PAGE, SECTOR = 4096, 512

Draw = random.Random


@dataclass(slots=True)
class File:
    """A file: its content on the disk, and what was done to it since."""

    mode: int
    target: str = ""
    content: bytearray = field(default_factory=bytearray)
    pending: list[Write | Resize] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)  # since the last fsync

    def sync(self) -> None:
        for change in self.pending:
            apply(self.content, change)
        self.pending.clear()
        if self.modes:
            self.mode = self.modes[-1]
            self.modes.clear()


def apply(content: bytearray, change: Write | Resize) -> None:
    """Do one write or resize completely."""
    end = change.size if isinstance(change, Resize) else change.offset + len(change.data)
    if isinstance(change, Resize):
        del content[end:]
    if end > len(content):
        content.extend(bytes(end - len(content)))
    if isinstance(change, Write):
        content[change.offset : end] = change.data


class Disk:
    """The disk while a log is replayed. `at` moves on; `write_to` makes what a cut there leaves."""

    def __init__(self, log: Sequence[Change]) -> None:
        self._log = log
        self._done = 0
        self._files: dict[int, File] = {}
        self._names: dict[Name, int] = {}
        self._pending: list[Names] = []
        self.marks: list[str] = []

    def at(self, position: int) -> None:
        """Replay up to a position of the log, which may not go back."""
        for change in self._log[self._done : position]:
            self._replay(change)
        self._done = max(position, self._done)

    def _replay(self, change: Change) -> None:
        match change:
            case New(inode, mode, target):
                self._files[inode] = File(mode, target)
            case Names():
                self._pending.append(change)
            case Write(inode) | Resize(inode):
                self._files[inode].pending.append(change)
            case Mode(inode, mode):
                self._files[inode].modes.append(mode)
            case Mark(text):
                self.marks.append(text)
            case Sync(None):
                for file in self._files.values():
                    file.sync()
                self._sync_names(None)
            case Sync(inode):
                self._files[inode].sync()
                self._sync_names(inode)

    def _sync_names(self, folder: int | None) -> None:
        """Put a folder's names on the disk, with the changes that they depend on."""
        wanted: set[Name] = set()
        kept, put = [], []
        for change in reversed(self._pending):
            names = {name for name, _ in change.changes}
            if folder is None or names & wanted or any(each[0] == folder for each in names):
                wanted |= names
                put.append(change)
            else:
                kept.append(change)
        for change in reversed(put):
            _rename(self._names, change)
        self._pending = kept[::-1]

    def write_to(self, folder: Path, chance: Draw) -> None:
        """Make a folder with what a power cut at this position leaves."""
        names = dict(self._names)
        for change in _surviving(self._pending, chance):
            _rename(names, change)
        children: dict[int, list[tuple[str, int]]] = {}
        for (parent, name), inode in names.items():
            children.setdefault(parent, []).append((name, inode))
        way = chance.choice(WAYS)
        written: dict[int, Path] = {}
        for path, inode in _walk(folder, ROOT, children):
            self._write(path, inode, written, way, chance)

    def _write(
        self, path: Path, inode: int, written: dict[int, Path], way: str, chance: Draw
    ) -> None:
        file = self._files[inode]
        if stat.S_ISDIR(file.mode):
            path.mkdir()
        elif stat.S_ISLNK(file.mode):
            path.symlink_to(file.target)
        elif inode in written:
            path.hardlink_to(written[inode])
        else:
            path.write_bytes(surviving(file, way, chance))
            path.chmod(stat.S_IMODE(chance.choice([file.mode, *file.modes])))
            written[inode] = path


def _rename(names: dict[Name, int], change: Names) -> None:
    for name, inode in change.changes:
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _walk(
    folder: Path, number: int, children: dict[int, list[tuple[str, int]]]
) -> Iterator[tuple[Path, int]]:
    for name, inode in sorted(children.get(number, ())):
        yield folder / name, inode
        yield from _walk(folder / name, inode, children)


# Names


def _surviving(pending: Sequence[Names], chance: Draw) -> list[Names]:
    """Return the changes of names that reach the disk, in order."""
    if chance.random() < 0.3:  # in order, as a journal commits them
        return list(pending[: chance.randint(0, len(pending))])
    share = chance.choice([0.0, 0.5, 0.9, 1.0, chance.random()])
    missing: set[Name] = set()
    survivors = []
    for change in pending:
        names = {name for name, _ in change.changes}
        if chance.random() < share and not names & missing:
            survivors.append(change)
        else:
            missing |= names
    return survivors


# Contents

WAYS = ("nothing", "all", "each", "pages", "pages", "torn", "torn")
"""What reaches the disk of files that were not fsynced: "each" draws one of the others for each."""


def surviving(file: File, way: str, chance: Draw) -> bytes:
    """Return the content of a file after a power cut."""
    if way == "each":
        way = chance.choice(("nothing", "all", "pages", "torn"))
    if way == "nothing" or not file.pending:
        return bytes(file.content)
    if way == "all":
        content = bytearray(file.content)
        for change in file.pending:
            apply(content, change)
        return bytes(content)
    return _partly(file, way == "torn", chance)


@dataclass(frozen=True, slots=True)
class _Shrink:
    """A truncation: its position in the file's changes, and the new size."""

    at: int
    size: int


def _partly(file: File, torn: bool, chance: Draw) -> bytes:
    """Return the content with some of the pages and one of the sizes.

    Truncations reach the disk in order. The pages that one removes are lost with it, and pages
    written after one that did not reach the disk have no place there.
    """
    sizes, shrinks = _sizes(file)
    done = shrinks[: chance.randint(0, len(shrinks))]
    first = done[-1].at + 1 if done else 0
    last = shrinks[len(done)].at if len(done) < len(shrinks) else len(file.pending)
    size = sizes[chance.randint(first, last)]
    content = bytearray(file.content)
    for shrink in done:
        content[shrink.size :] = bytes(max(0, len(content) - shrink.size))
    content.extend(bytes(max(0, -(-max(sizes) // PAGE) * PAGE - len(content))))
    for page, writes in _by_page(file.pending).items():
        place = slice(page * PAGE, (page + 1) * PAGE)
        versions = _versions(content[place], place.start, writes, shrinks, done)
        content[place] = _drawn(versions, torn, chance)
    return bytes(content[:size])


def _sizes(file: File) -> tuple[list[int], list[_Shrink]]:
    """Return the size after each number of changes, and the truncations."""
    sizes: list[int] = [len(file.content)]
    shrinks = []
    for at, change in enumerate(file.pending):
        if isinstance(change, Resize):
            if change.size < sizes[-1]:
                shrinks.append(_Shrink(at, change.size))
            sizes.append(change.size)
        else:
            sizes.append(max(sizes[-1], change.offset + len(change.data)))
    return sizes, shrinks


def _by_page(pending: Sequence[Write | Resize]) -> dict[int, list[tuple[int, Write]]]:
    """Return the writes of each page, with their positions."""
    pages: dict[int, list[tuple[int, Write]]] = {}
    for at, change in enumerate(pending):
        if isinstance(change, Write):
            last = (change.offset + len(change.data) - 1) // PAGE
            for page in range(change.offset // PAGE, last + 1):
                pages.setdefault(page, []).append((at, change))
    return pages


def _versions(
    current: bytearray,
    start: int,
    writes: list[tuple[int, Write]],
    shrinks: Sequence[_Shrink],
    done: Sequence[_Shrink],
) -> list[bytes]:
    """Return what may be on the disk of the page at `start`, oldest first."""
    versions = [bytes(current)]
    here = [(each.at, each) for each in shrinks if each.size < start + PAGE]
    for _, change in sorted([*writes, *here], key=lambda each: each[0]):
        if isinstance(change, Write):
            begin, end = (
                max(change.offset, start),
                min(change.offset + len(change.data), start + PAGE),
            )
            current[begin - start : end - start] = change.data[
                begin - change.offset : end - change.offset
            ]
        elif change in done:
            versions.clear()
            current[max(0, change.size - start) :] = bytes(PAGE - max(0, change.size - start))
        elif change.size <= start:
            break
        else:
            current[change.size - start :] = bytes(PAGE - change.size + start)
        versions.append(bytes(current))
    return versions


def _drawn(versions: list[bytes], torn: bool, chance: Draw) -> bytes:
    """Return one of the versions; torn, the sectors of two."""
    new = chance.randrange(len(versions))
    if not torn:
        return versions[new]
    pair = versions[chance.randint(0, new)], versions[new]
    sectors = (slice(at, at + SECTOR) for at in range(0, PAGE, SECTOR))
    return b"".join(chance.choice(pair)[each] for each in sectors)
