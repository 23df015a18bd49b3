"""A device's NetworkManager, in whose place a script answers, and the root service's folders."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.enrol.join import Joining
from agent.system.handover import Answer, Requests, read_answer

STANDIN = Path(__file__).resolve().parents[2] / "standins" / "nmcli"
PASSWORD = "correct horse\\ battery"
WIFI = r"WIFI:S:Anna\;s home;T:WPA;P:correct horse\\ battery;;"
AIR = {"Anna;s home": PASSWORD, "open": None}


class Network:
    """The stand-in's files. `disk` is in place of NetworkManager's folder in /etc."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.disk.mkdir(parents=True)
        self.profiles = folder / "run"
        shutil.copy(STANDIN, folder / "nmcli")
        self.air(AIR)

    def air(self, networks: dict[str, str | None]) -> None:
        (self.folder / "networks.json").write_text(json.dumps(networks))

    def calls(self) -> str:
        file = self.folder / "calls"
        return file.read_text() if file.exists() else ""

    def joined(self) -> list[str]:
        """What is on the disk."""
        return [each.read_text() for each in self.disk.iterdir()]


class Device:
    """The root service's surroundings: a code is shown, and an answer comes."""

    def __init__(self, folder: Path, network: Network, config: Path) -> None:
        self.folder = folder
        self.network = network
        self.boot = folder / "boot"
        self.requests, self.answers = folder / "watch", folder / "join"
        for each in (self.boot, self.requests, self.answers):
            each.mkdir()
        self.config = config
        self.unsent = 0
        self.enrolments = 0
        self.route = True
        self.watch = Requests(self.requests, self.answers)

    def joining(self) -> Joining:
        return Joining(
            self.config,
            count_unsent=lambda: self.unsent,
            enrolled=self._count,
            requests=self.requests,
            answers=self.answers,
            profiles=self.network.profiles,
            boot_folders=(self.boot,),
            has_route=lambda: self.route,
            code_s=0.0,
            boot_s=0.0,
        )

    def _count(self) -> None:
        self.enrolments += 1

    def show(self, text: str) -> Answer:
        """Hand a code over, and run the service."""
        request_id = self.watch.send(text)
        self.joining().run()
        answer = self.watch.answer(request_id)
        assert answer is not None
        return answer

    def start(self, content: str) -> Answer:
        """Write the file on the boot partition, and start."""
        (self.boot / "blinklog.toml").write_text(content)
        self.joining().run()
        answer = read_answer(self.answers)
        assert answer is not None
        return answer

    def files(self) -> dict[Path, bytes]:
        """Everything below its folder, but for the stand-in's own list."""
        found = (each for each in self.folder.rglob("*") if each.is_file())
        return {each: each.read_bytes() for each in found if each.name != "networks.json"}


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    made = Network(tmp_path / "network")
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    return made


@pytest.fixture
def device(tmp_path: Path, network: Network) -> Device:
    etc = tmp_path / "etc"
    etc.mkdir(exist_ok=True)
    return Device(tmp_path, network, etc / "agent.toml")
