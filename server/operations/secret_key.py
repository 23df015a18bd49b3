"""The secret key of this installation: created once, in a file that only the server can read."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from server.common.disk import sync_folder


def keep_secret_key(path: Path) -> str:
    """Return the key in the file, created (0600) if it doesn't exist.

    Safe if several processes create it at once: all return the same key.
    """
    if not path.exists():
        _create(path)
    return path.read_text().strip()


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".secret_key-")  # made 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(50) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)  # atomic, and never replaces another process's file
        sync_folder(path.parent)  # another key would end every login
    finally:
        Path(name).unlink()
