"""The secret key of this installation: made once, kept where only the server reads it."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def keep_secret_key(path: Path) -> None:
    """Make the key file (0600) if there is none. Several processes may try at once: one wins."""
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
            os.link(name, path)  # whole or not at all, and never over another's
    finally:
        Path(name).unlink()
