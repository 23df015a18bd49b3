"""Files that are there whole or not at all: written beside, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import AgentError


@contextmanager
def whole_file(path: Path, suffix: str, *, besides: Path | None = None) -> Iterator[Path]:
    """A new file to write to; it becomes `path` when the block ends, and nothing when it fails.

    Raises AgentError at once where `path` can't be written, doesn't end in `suffix`, or is
    `besides`, the file that is read.
    """
    if path.suffix.lower() != suffix:
        raise AgentError(f"{path}: expected a name that ends in {suffix}")
    if path.is_dir() or (besides is not None and path.resolve() == besides.resolve()):
        found = "a folder" if path.is_dir() else "the file that is read"
        raise AgentError(f"{path}: expected a file to write, found {found}")
    new = path.with_name(f".{path.stem}.{os.getpid()}{suffix}")
    try:
        new.touch(exist_ok=False)
        try:
            yield new
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except AgentError:
        raise
    except OSError as error:
        raise AgentError(f"{path}: can't be written: {error.strerror or error}") from error
