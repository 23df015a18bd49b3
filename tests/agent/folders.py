"""Folders for tests in which root is somebody else."""

from pathlib import Path


def let_everybody_in(folder: Path) -> None:
    """Opens `folder` and what leads to it: pytest's own are closed."""
    for each in (folder, *folder.parents):
        if not each.stat().st_mode & 0o001:
            each.chmod(0o755)
