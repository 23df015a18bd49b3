"""Root among the device's files: what it makes there has to stay the services' own."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def acting_as_owner(path: Path) -> Iterator[None]:
    """Inside, root is who owns the folder of `path`; anybody else stays who they are.

    `sudo blink-agent status` would otherwise leave files beside the store that lock `watch` out.
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
