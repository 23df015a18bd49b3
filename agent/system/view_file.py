"""The file in which `watch` shows other processes its view while it aims or checks."""

import contextlib
import json
import logging
import os
from pathlib import Path

from agent.records import Document

log = logging.getLogger(__name__)


class ViewFile:
    """One JSON object, or no file if nobody aims. Its `number` tells views apart.

    It is not synced: after a power cut nobody needs it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, view: Document) -> None:
        """Replace the view. Errors are only logged."""
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            new.write_text(json.dumps(view, separators=(",", ":")))
            new.replace(self.path)
        except OSError as error:
            log.debug("can't write %s: %s", self.path, error)

    def read(self) -> Document | None:
        """Return the view, or None if nobody aims."""
        try:
            view = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return None
        return view if isinstance(view, dict) else None

    def remove(self) -> None:
        """Delete the view."""
        with contextlib.suppress(OSError):
            self.path.unlink()


def view_path(store_path: Path, name: str = "aim") -> Path:
    """Return the file for the views: in memory where systemd gives the service such a folder."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "/run/blinklog-watch").split(":")[0]
    return Path(folder if Path(folder).is_dir() else store_path.parent) / f"{name}.json"
