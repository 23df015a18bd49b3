"""A device that updates itself: both sides, and an installer that only pretends."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.release import installing, room
from agent.release.handover import OVER, read_outcome
from agent.release.installing import Installing
from agent.release.manifest import Machine
from agent.release.signature import fingerprint
from agent.release.updater import Places, Updater
from tests.releases import archive, key_pair, signed

PART = 2048


@dataclass
class Server:
    """What the server wants, and the archive that it sends; `spoil` changes parts on their way."""

    content: bytes = b""
    wanted: dict[str, Any] | None = None
    told: list[dict[str, Any]] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    spoil: Any = None

    def report(self, told: dict[str, Any]) -> dict[str, Any] | None:
        self.told.append(told)
        update = told["update"]
        is_this = update and self.wanted and update["request"] == self.wanted["request"]
        if is_this and update["state"] in OVER:
            self.wanted = None
        return self.wanted

    def part(self, sha256: str, first: int, size: int) -> bytes:
        self.parts.append(first)
        part = self.content[first : first + PART]
        return self.spoil(first, part) if self.spoil else part

    @property
    def last(self) -> dict[str, Any]:
        """The update that the device reported last."""
        update: dict[str, Any] = self.told[-1]["update"]
        return update


class Installer:
    """The unit of the installer: `statuses` are those it ends with, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.statuses = [0]
        self.began: list[str] = []
        self.mended = 0
        self.others = False

    def run(self) -> int:
        house = self.folder / "office/work/house/blinklog-device"
        release = (house / "release").read_text()
        assert (house / "install.sh").exists()
        self.began.append(release)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            (self.folder / "current").write_text(release)
        return status

    def wait(self) -> None:
        pass

    def mend(self) -> None:
        self.mended += 1

    def version(self) -> str | None:
        text = (self.folder / "current").read_text()
        return dict(line.split("=") for line in text.splitlines())["version"]

    def last_words(self) -> str | None:
        return "what the installer said"

    def nobody_installs(self) -> bool:
        return not self.others


class Device:
    """Both sides, step by step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private, self.public = key_pair(folder)
        self.inbox, self.office = folder / "state" / "release", folder / "office"
        self.key = folder / "etc" / "release-key.pem"
        for each in (self.inbox.parent, self.office, self.key.parent):
            each.mkdir()
        self.key.write_text(self.public)
        (folder / "current").write_text("version=0.1.0\n")
        self.installer = Installer(folder)
        self.server = Server()
        self.idle = True
        self.looks: list[bool] = []  # of the next looks; then `idle`
        self.clock_s = 0.0
        self.here = Machine("0.1.0", "x86_64", "3.11")
        self.restart()

    def restart(self) -> None:
        """sync begins anew, as after a power cut."""
        places = Places(self.key, self.inbox, self.office)
        self.updater = Updater(self.server, self.here, places, self.is_idle, self.clock)

    def clock(self) -> float:
        self.clock_s += 4.0  # three parts are a step of sync's
        return self.clock_s

    def is_idle(self) -> bool:
        return self.looks.pop(0) if self.looks else self.idle

    def offer(self, version: str = "0.2.0", *, file: Path | None = None, **changes: Any) -> Path:
        made = file or archive(self.folder / uuid.uuid4().hex, version, machine="x86_64")
        self.server.content = made.read_bytes()
        manifest = signed(made, self.private, **changes)
        self.server.wanted = {"request": str(uuid.uuid4()), "keys": [], **manifest}
        return made

    def root(self, **changes: Any) -> Installing:
        surroundings: dict[str, Any] = {
            "here": self.here, "key": self.key, "inbox": self.inbox, "office": self.office,
            "is_idle": self.is_idle, "upgrade": self.installer, "idle_s": 60.0,
            "sleep": lambda _: None, **changes,
        }  # fmt: skip
        return Installing(**surroundings)

    def until_over(self, steps: int = 40) -> dict[str, Any]:
        """Both sides take turns. Returns the last report."""
        request = self.server.wanted and self.server.wanted["request"]
        for _ in range(steps):
            self.updater.step()
            if (self.inbox / "request.json").exists():
                self.root().run()
            over = self.server.told[-1]["update"]
            if over and over["request"] == request and over["state"] in OVER:
                self.updater.step()  # the server wants nothing any more
                return dict(over)
        raise AssertionError(f"not over: {self.server.told[-1]}")

    @property
    def outcome(self) -> Any:
        return read_outcome(self.office)

    def is_as_before(self) -> bool:
        """Whether the old release is current, and nothing is left behind."""
        left = [each for each in (self.inbox, self.office / "work") if each.exists()]
        files = [
            each.name for folder in left for each in folder.rglob("*") if each.name != "withdrawn"
        ]
        return self.installer.version() == "0.1.0" and files == []

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public)


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setattr(room, "INSTALL_BYTES", 1 << 20)
    monkeypatch.setattr(room, "KEPT_BYTES", 1 << 20)
    monkeypatch.setattr(installing, "LOOK_S", 0.0)
    return Device(tmp_path)
