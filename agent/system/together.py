"""Several small files that change together: all are on the disk before the first gets its name.

Room for each is taken when the block begins, so that a full disk or a folder that can't be written
is known before anything is done that can't be undone.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from agent.errors import AgentError

ROOM_BYTES = 64 << 10  # for each: far more than a configuration or an authority's certificates have


class Together:
    """Files with their modes, in the order in which they get their names when the block ends well.

    What `write` was not called for stays as it was; `remove` takes a file away. A block that fails
    leaves everything as it was. Raises AgentError where a file can't be written, and where another
    process is inside such a block.
    """

    def __init__(self, modes: Mapping[Path, int]) -> None:
        self._modes = {path.resolve(): mode for path, mode in modes.items()}
        self._new: dict[Path, Path] = {}
        self._written: list[Path] = []
        self._removed: list[Path] = []
        self._alone = contextlib.ExitStack()

    def __enter__(self) -> "Together":
        try:
            for folder in {path.parent for path in self._modes}:
                with _explained(folder):
                    folder.mkdir(parents=True, exist_ok=True)
                self._alone.enter_context(_alone(folder))
            for path, mode in self._modes.items():
                with _explained(path):
                    self._new[path] = _reserved(path, mode)
        except BaseException:
            self._drop()
            raise
        return self

    def write(self, path: Path, content: bytes) -> None:
        """What `path` is to hold: on the disk now, under its name at the end."""
        path = path.resolve()
        with _explained(path), self._new[path].open("r+b") as file:
            file.write(content)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        self._written.append(path)

    def remove(self, path: Path) -> None:
        """Takes `path` away at the end."""
        self._removed.append(path.resolve())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._name()
        finally:
            self._drop()

    def _name(self) -> None:
        for path in self._modes:
            with _explained(path):
                if path in self._written:
                    self._new.pop(path).replace(path)
                elif path in self._removed:
                    path.unlink(missing_ok=True)
        for folder in {path.parent for path in self._modes}:
            with _explained(folder):
                _sync(folder)

    def _drop(self) -> None:
        for new in self._new.values():
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
        self._new.clear()
        self._alone.close()


def _reserved(path: Path, mode: int) -> Path:
    """An empty file beside `path`, with its room, its mode, and its owner where there is one."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)  # of one that was cut off
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.posix_fallocate(file, 0, ROOM_BYTES)
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
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else changes files of this folder so: the room that was taken would be lost."""
    with _explained(folder):
        file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise AgentError(f"{folder}: expected to be alone, found another at work here") from error
    try:
        yield
    finally:
        os.close(file)


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, AgentError):
            raise
        hint = ": use sudo" if isinstance(error, PermissionError) and os.geteuid() else ""
        raise AgentError(f"{path}: can't be written: {error.strerror or error}{hint}") from error
