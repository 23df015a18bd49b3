"""The log of a recording: every change of the file system in order, and every fsync.

Files and folders are numbered; the root is 1. A name is a folder's number and a text.
"""

from dataclasses import dataclass

ROOT = 1
MARKS = "marks"
"""A name in the root that is not recorded: each line that is written to it is a mark in the log."""

Name = tuple[int, str]


@dataclass(frozen=True, slots=True)
class New:
    """A new inode, without a name yet. `target` is that of a symbolic link."""

    inode: int
    mode: int
    target: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """One atomic change of names: a creation, link, removal or rename. None removes a name."""

    changes: tuple[tuple[Name, int | None], ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes written to a file."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """A truncation or, with zeros, an extension."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Mode:
    """A change of permissions."""

    inode: int
    mode: int


@dataclass(frozen=True, slots=True)
class Sync:
    """An fsync of a file or a folder that has returned; of everything if `inode` is None."""

    inode: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """What the program that is tried had done, or begun to do, at this point."""

    text: str


Change = New | Names | Write | Resize | Mode | Sync | Mark
