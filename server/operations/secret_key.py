"""The secret key of this installation: created once, in a file that only the server can read."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def keep_secret_key(path: Path) -> None:
    """Create the key file (0600) if it doesn't exist. Safe if several processes do so at once."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".secret_key-")  # made 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(50) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)  # atomic, and never replaces another process's file
    finally:
        Path(name).unlink()
