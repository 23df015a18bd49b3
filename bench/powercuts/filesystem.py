"""A FUSE file system in memory that records every change and every fsync.

    python -m bench.powercuts.filesystem MOUNTPOINT LOG [CONTENT]

It begins with a copy of the folder CONTENT, and writes its log (`bench.powercuts.log`) to the file
LOG when it is unmounted. It answers one request at a time, so the log has the order in which the
programs saw the changes. Writes arrive as they were made: the kernel does not hold them back.
"""

import errno
import itertools
import os
import pickle
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfusepy import FUSE, FuseOSError, Operations

from bench.powercuts.log import (
    MARKS,
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

MARKS_NUMBER = 1 << 40
KEEP_SIZE = 1  # of fallocate(2)
BLOCK_BYTES, BLOCKS = 4096, 1 << 20


@dataclass(slots=True)
class Inode:
    """A file, a folder or a symbolic link."""

    number: int
    mode: int
    target: str = ""
    content: bytearray = field(default_factory=bytearray)
    links: int = 0
    changed_ns: int = 0


class Recorder(Operations):
    """The operations. `log` is what was done."""

    use_ns = True
    flag_nopath = flag_nullpath_ok = True  # an open file that was removed has no path

    def __init__(self, log: list[Change]) -> None:
        self.log = log
        self._inodes: dict[int, Inode] = {}
        self._folders: dict[int, dict[str, int]] = {}
        self._handles: dict[int, Inode] = {}
        self._numbers = itertools.count(ROOT)
        self._tickets = itertools.count(1)
        self._new(stat.S_IFDIR | 0o755)
        self._marks = Inode(0, stat.S_IFREG | 0o666, links=1)
        self._half_line = b""

    def fill(self, content: Path) -> None:
        """Copy a folder, and have it on the disk."""
        for path in sorted(content.rglob("*")):
            name, mode = f"/{path.relative_to(content)}", path.lstat().st_mode
            if path.is_symlink():
                self.symlink(name, str(path.readlink()))
            elif path.is_dir():
                self.mkdir(name, mode & 0o777)
            else:
                file = self.create(name, mode & 0o777)
                self.write(None, path.read_bytes(), 0, file)
        self.log.append(Sync(None))

    # Names

    def _find(self, path: str) -> tuple[Name, Inode | None]:
        folder, parts = ROOT, path.strip("/").split("/")
        for part in parts[:-1]:
            folder = self._folders[folder].get(part, 0)
            if folder not in self._folders:
                raise FuseOSError(errno.ENOENT if not folder else errno.ENOTDIR)
        number = self._folders[folder].get(parts[-1])
        if (folder, parts[-1]) == (ROOT, MARKS):
            return (folder, MARKS), self._marks
        return (folder, parts[-1]), None if number is None else self._inodes[number]

    def _at(self, path: str | None, handle: int | None = None) -> Inode:
        if handle in self._handles:
            return self._handles[handle]
        if path == "/":
            return self._inodes[ROOT]
        found = self._find(path)[1] if path else None
        if found is None:
            raise FuseOSError(errno.ENOENT)
        return found

    def _new(self, mode: int, target: str = "") -> Inode:
        inode = Inode(next(self._numbers), mode, target, changed_ns=time.time_ns())
        self._inodes[inode.number] = inode
        if stat.S_ISDIR(mode):
            self._folders[inode.number] = {}
        self.log.append(New(inode.number, mode, target))
        return inode

    def _rename(self, *changes: tuple[Name, Inode | None]) -> None:
        for (folder, name), inode in changes:
            before = self._folders[folder].pop(name, None)
            if before is not None:
                self._inodes[before].links -= 1
            if inode is not None:
                self._folders[folder][name] = inode.number
                inode.links += 1
        self.log.append(Names(tuple((name, inode and inode.number) for name, inode in changes)))

    def _added(self, path: str, mode: int, target: str = "") -> Inode:
        name, there = self._find(path)
        if there is not None:
            raise FuseOSError(errno.EEXIST)
        inode = self._new(mode, target)
        self._rename((name, inode))
        return inode

    def mkdir(self, path: str, mode: int) -> int:
        self._added(path, stat.S_IFDIR | mode)
        return 0

    def symlink(self, target: str, source: str) -> int:
        self._added(target, stat.S_IFLNK | 0o777, source)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return self._opened(self._added(path, stat.S_IFREG | stat.S_IMODE(mode)))

    def link(self, target: str, source: str) -> int:
        name, there = self._find(target)
        if there is not None:
            raise FuseOSError(errno.EEXIST)
        self._rename((name, self._at(source)))
        return 0

    def unlink(self, path: str) -> int:
        self._at(path)
        self._rename((self._find(path)[0], None))
        return 0

    def rmdir(self, path: str) -> int:
        if self._folders[self._at(path).number]:
            raise FuseOSError(errno.ENOTEMPTY)
        return self.unlink(path)

    def rename(self, old: str, new: str) -> int:
        (name, moved), (there, over) = self._find(old), self._find(new)
        if moved is None:
            raise FuseOSError(errno.ENOENT)
        if over is not None and self._folders.get(over.number):
            raise FuseOSError(errno.ENOTEMPTY)
        if moved is not over:
            self._rename((name, None), (there, moved))
        return 0

    def readlink(self, path: str) -> str:
        return self._at(path).target

    def readdir(self, path: str, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        number = self._at(path, fh).number
        there = {".": number, "..": number} | self._folders[number]
        for name, inode in there.items():
            yield name, {"st_ino": inode, "st_mode": self._inodes[inode].mode}, 0

    # Contents

    def _opened(self, inode: Inode) -> int:
        handle = next(self._tickets)
        self._handles[handle] = inode
        return handle

    def open(self, path: str, flags: int) -> int:
        inode = self._at(path)
        if flags & os.O_TRUNC:
            self._resize(inode, 0)
        return self._opened(inode)

    def opendir(self, path: str) -> int:
        return self._opened(self._at(path))

    def release(self, path: str | None, fh: int) -> int:
        del self._handles[fh]
        return 0

    releasedir = release

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        return bytes(self._at(path, fh).content[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        inode = self._at(path, fh)
        if inode is self._marks:
            self._mark(data)
            return len(data)
        if offset > len(inode.content):
            inode.content.extend(bytes(offset - len(inode.content)))
        inode.content[offset : offset + len(data)] = data
        inode.changed_ns = time.time_ns()
        self.log.append(Write(inode.number, offset, data))
        return len(data)

    def _mark(self, data: bytes) -> None:
        """Take in whole lines: the kernel cuts a write in two where a page ends."""
        *lines, self._half_line = (self._half_line + data).split(b"\n")
        self.log += [Mark(line.decode()) for line in lines]

    def _resize(self, inode: Inode, size: int) -> None:
        if inode is self._marks or size == len(inode.content):
            return
        del inode.content[size:]
        inode.content.extend(bytes(size - len(inode.content)))
        inode.changed_ns = time.time_ns()
        self.log.append(Resize(inode.number, size))

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        self._resize(self._at(path, fh), length)
        return 0

    def fallocate(self, path: str | None, mode: int, offset: int, size: int, fh: int) -> int:
        if mode & ~KEEP_SIZE:
            raise FuseOSError(errno.EOPNOTSUPP)
        inode = self._at(path, fh)
        if not mode & KEEP_SIZE:
            self._resize(inode, max(len(inode.content), offset + size))
        return 0

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:
        self.log.append(Sync(self._at(path, fh).number))
        return 0

    fsyncdir = fsync

    def flush(self, path: str | None, fh: int) -> int:
        return 0

    # Attributes

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        inode = self._at(path, fh)
        times = {f"st_{each}time": inode.changed_ns for each in "amc"}
        size = len(inode.target) if stat.S_ISLNK(inode.mode) else len(inode.content)
        return {
            "st_ino": inode.number or MARKS_NUMBER,
            "st_mode": inode.mode,
            "st_nlink": 2 if stat.S_ISDIR(inode.mode) else inode.links,
            "st_size": size,
            "st_blocks": -(-size // 512),
            **times,
        }

    def chmod(self, path: str | None, mode: int, fh: int | None = None) -> int:
        inode = self._at(path, fh)
        inode.mode = stat.S_IFMT(inode.mode) | stat.S_IMODE(mode)
        self.log.append(Mode(inode.number, inode.mode))
        return 0

    def chown(self, path: str | None, uid: int, gid: int) -> int:
        return 0  # all belongs to root

    def utimens(self, path: str | None, times: tuple[int, int] | None = None) -> int:
        return 0  # nothing here depends on a file's time

    def statfs(self, path: str) -> dict[str, int]:
        size = {"f_bsize": BLOCK_BYTES, "f_frsize": BLOCK_BYTES, "f_namemax": 255}
        return {**size, "f_blocks": BLOCKS, "f_bfree": BLOCKS, "f_bavail": BLOCKS}


class _Fuse(FUSE):  # type: ignore[misc]
    """mfusepy, but for calls with an open file, which it gives neither a path nor the file."""

    def truncate_fuse_3(self, path: bytes | None, length: int, fip: Any) -> int:
        return int(self.operations.truncate(_text(path), length, _handle(fip)))

    def chmod_fuse_3(self, path: bytes | None, mode: int, fip: Any) -> int:
        return int(self.operations.chmod(_text(path), mode, _handle(fip)))


def _text(path: bytes | None) -> str | None:
    return None if path is None else os.fsdecode(path)


def _handle(information: Any) -> int | None:
    return information.contents.fh if information else None


def main(mountpoint: str, log: str, content: str = "") -> None:
    """Serve until unmounted, then write the log."""
    done: list[Change] = []
    recorder = Recorder(done)
    if content:
        recorder.fill(Path(content))
    uncached = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0}
    _Fuse(
        recorder,
        mountpoint,
        foreground=True,
        nothreads=True,
        use_ino=True,
        hard_remove=True,
        fsname="blinklog-powercuts",
        **uncached,
    )
    Path(log).write_bytes(pickle.dumps(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
