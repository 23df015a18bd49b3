"""Atomic writes: one file, or several files that change together.

New content goes into a temporary file in the same folder, which is then renamed. A reader sees the
old file or the new one, never a part of it, also after a power failure: the content is on the disk
before the rename, and the rename before the block ends.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from agent.errors import AgentError

RESERVED_BYTES = 64 << 10
"""Reserved for each file: far more than a configuration or a CA certificate needs."""


@contextlib.contextmanager
def atomic_file(path: Path, suffix: str, *, source: Path | None = None) -> Iterator[Path]:
    """Yield a temporary file to write to. It becomes `path` if the block succeeds.

    If the block fails, the temporary file is deleted. Raises AgentError at once if `path` can't be
    written, doesn't end in `suffix`, or is `source`, the file being read.
    """
    if path.suffix.lower() != suffix:
        raise AgentError(f"{path}: expected a name that ends in {suffix}")
    if path.is_dir() or (source is not None and path.resolve() == source.resolve()):
        found = "a folder" if path.is_dir() else "the file that is being read"
        raise AgentError(f"{path}: expected a file to write, found {found}")
    new = path.with_name(f".{path.stem}.{os.getpid()}{suffix}")
    with _explained(path):
        new.unlink(missing_ok=True)  # left over from a power cut, by a process of the same number
        new.touch(exist_ok=False)
        try:
            yield new
            sync_path(new)
            new.replace(path)
            sync_path(path.parent)
        finally:
            new.unlink(missing_ok=True)


class FileTransaction:
    """Several small files, given with their modes, that are replaced together.

    All of them are on the disk before the first is renamed; they are renamed in the order given.
    Files that were not passed to `write` or `remove` stay as they are. If the block fails, nothing
    changes.

    Disk space for each file is reserved on entering the block. A full disk or a read-only folder
    is therefore reported before the caller does anything that can't be undone.

    Raises AgentError if a file can't be written or another process holds such a transaction in one
    of the folders.
    """

    def __init__(self, modes: Mapping[Path, int]) -> None:
        self._modes = {path.resolve(): mode for path, mode in modes.items()}
        self._new: dict[Path, Path] = {}
        self._written: list[Path] = []
        self._removed: list[Path] = []
        self._locks = contextlib.ExitStack()

    def __enter__(self) -> "FileTransaction":
        try:
            for folder in {path.parent for path in self._modes}:
                with _explained(folder, privileged=True):
                    folder.mkdir(parents=True, exist_ok=True)
                self._locks.enter_context(_locked(folder))
            for path, mode in self._modes.items():
                with _explained(path, privileged=True):
                    self._new[path] = _reserved(path, mode)
        except BaseException:
            self._clean_up()
            raise
        return self

    def write(self, path: Path, content: bytes) -> None:
        """Write the new content of `path` to the disk. It is renamed at the end of the block."""
        path = path.resolve()
        with _explained(path, privileged=True), self._new[path].open("r+b") as file:
            file.write(content)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        self._written.append(path)

    def remove(self, path: Path) -> None:
        """Delete `path` at the end of the block."""
        self._removed.append(path.resolve())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            self._clean_up()

    def _commit(self) -> None:
        for path in self._modes:
            with _explained(path, privileged=True):
                if path in self._written:
                    self._new.pop(path).replace(path)
                elif path in self._removed:
                    path.unlink(missing_ok=True)
        for folder in {path.parent for path in self._modes}:
            with _explained(folder, privileged=True):
                sync_path(folder)

    def _clean_up(self) -> None:
        for new in self._new.values():
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
        self._new.clear()
        self._locks.close()


def _reserved(path: Path, mode: int) -> Path:
    """Create the temporary file for `path` and reserve its disk space.

    It gets `mode`, and the owner of the file that it will replace.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)  # left over from an interrupted transaction
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.posix_fallocate(file, 0, RESERVED_BYTES)
        os.fchmod(file, mode)
        if path.exists():
            os.fchown(file, path.stat().st_uid, path.stat().st_gid)
    except BaseException:
        new.unlink()
        raise
    finally:
        os.close(file)
    return new


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock `folder`: a second transaction would delete the temporary files of the first."""
    with _explained(folder, privileged=True):
        file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise AgentError(f"{folder}: another process is changing files here") from error
    try:
        yield
    finally:
        os.close(file)


def sync_path(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextlib.contextmanager
def _explained(path: Path, *, privileged: bool = False) -> Iterator[None]:
    """Turn an OSError into an AgentError about `path`. `privileged` files may need sudo."""
    try:
        yield
    except AgentError:
        raise
    except OSError as error:
        sudo = privileged and isinstance(error, PermissionError) and os.geteuid() != 0
        hint = ": use sudo" if sudo else ""
        raise AgentError(f"{path}: can't be written: {error.strerror or error}{hint}") from error
