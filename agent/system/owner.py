"""File ownership for commands run as root: the files they create must belong to the services."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def acting_as_owner(path: Path) -> Iterator[None]:
    """Inside the block, root acts as the owner of the folder of `path`. Other users do nothing.

    Otherwise `sudo blink-agent status` could leave files next to the store that `watch` can't open.
    """
    if os.geteuid() != 0:
        yield
        return
    folder = next(each for each in path.absolute().parents if each.exists())
    owner = folder.stat()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
