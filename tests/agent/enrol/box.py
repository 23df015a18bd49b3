"""A device to enrol: its folders, its configuration, and what the command says."""

import contextlib
import os
import stat
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.cli import main as cli
from agent.store.store import Store
from tests.agent.servers import TOKEN

CODE = "ABCD2345"
DEVICE = "0193a1b2-0000-7000-8000-000000000001"
PERSONS_OWN = """\
# Kitchen, by the window
[camera]
source = "usb"  # the old webcam

[server]
timeout_s = 2   # a fast network
"""


def identity(**changes: Any) -> dict[str, Any]:
    """What the server answers to a good code."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    named = {"device": DEVICE, "token": TOKEN, "label": "Kitchen", "server_time": now}
    return {**named, "mqtt_password": None, "mqtt_url": None, **changes}


class Box:
    """A device's files, and what `blink-agent` says there."""

    def __init__(self, folder: Path, say: Callable[[], str]) -> None:
        self.folder = folder
        self.file = folder / "agent.toml"
        self.file.write_text(PERSONS_OWN)
        self._say = say

    def run(self, *arguments: str) -> tuple[int, str]:
        """A command's exit status, and all that it says."""
        status = cli.main(["--config", str(self.file), *arguments])
        return status, self._say()

    def values(self) -> dict[str, Any]:
        """The configuration as it is now."""
        return tomllib.loads(self.file.read_text())

    def files(self) -> dict[str, str]:
        """Everything that is there."""
        return {path.name: path.read_text() for path in self.folder.iterdir() if path.is_file()}


def keep(*documents: dict[str, Any]) -> None:
    """Sessions in this device's store."""
    with contextlib.closing(Store(Path(os.environ["BLINKLOG_AGENT_STORE_PATH"]))) as store:
        for each in documents:
            store.put(each)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
