"""A lock file per service, next to the store. It tells which services are running.

The kernel releases the lock however the process ends, so there are no stale locks.
"""

import contextlib
import fcntl
import logging
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from agent.errors import AgentError

log = logging.getLogger(__name__)

FLOCK = "hhqqi4x"  # struct flock of fcntl(2) on 64-bit Linux: type, whence, start, length, process


@contextlib.contextmanager
def process_lock(store: Path, name: str) -> Iterator[None]:
    """Hold the lock of the service `name` for the store at `store`.

    Raises AgentError if another process holds it. If the lock file can't be created, as on a full
    disk, log a warning and go on without it.
    """
    path = _lock_path(store, name)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        log.warning("%s: %s: status can't tell that %s is running", path, error.strerror, name)
        yield
        return
    try:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise AgentError(
                f"blink-agent {name} is already running here, as process {lock_owner(store, name)}"
            ) from None
        yield
    finally:
        os.close(file)


def lock_owner(store: Path, name: str) -> int | None:
    """Return the id of the process that holds the lock of the service `name`, or None.

    This only queries the lock: taking it, even briefly, could block the service.

    Raises AgentError if this user may not read the lock file.
    """
    path = _lock_path(store, name)
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise AgentError(f"{path}: no permission: use sudo") from error
    except OSError:
        return None
    try:
        query = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, *_, process = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, query))
        return None if kind == fcntl.F_UNLCK else process
    finally:
        os.close(file)


def _lock_path(store: Path, name: str) -> Path:
    return store.with_name(f"{store.name}.{name}")
