"""Which of the services runs: each holds a lock beside the store for as long as it lives.

The kernel lets go of it however the process ends, so nobody is ever thought to run who doesn't.
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
def running(store: Path, name: str) -> Iterator[None]:
    """This process is `name` for the store at `store`. Raises AgentError where another one is.

    A disk that has no room for the lock keeps nobody from working.
    """
    try:
        file = os.open(_lock(store, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        log.warning("%s: %s: status can't tell that this runs", _lock(store, name), error.strerror)
        yield
        return
    try:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise AgentError(
                f"expected to be the only blink-agent {name} here, found process"
                f" {process_of(store, name)}"
            ) from None
        yield
    finally:
        os.close(file)


def process_of(store: Path, name: str) -> int | None:
    """The process that is `name` now, or None. Asks only: a lock of its own could be in the way.

    Raises AgentError where this user may not know.
    """
    try:
        file = os.open(_lock(store, name), os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise AgentError(f"{_lock(store, name)}: no permission: use sudo") from error
    except OSError:
        return None
    try:
        asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, *_, process = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
        return None if kind == fcntl.F_UNLCK else process
    finally:
        os.close(file)


def _lock(store: Path, name: str) -> Path:
    return store.with_name(f"{store.name}.{name}")
