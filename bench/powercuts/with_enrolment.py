"""The files of an enrolment: configuration, token, password and certificates.

After a cut every file is wholly that of the enrolment before or of the one that was cut off, and
the device can be enrolled again. What a returned enrolment wrote is there.
"""

import uuid
from collections.abc import Sequence
from pathlib import Path
from random import Random
from unittest import mock

from agent import config
from agent.enrol import enrol as enrol_module
from agent.enrol.claim import Identity
from agent.enrol.enrol import EnrolRequest, enrol
from agent.errors import AgentError
from bench.powercuts.part import Tally
from bench.powercuts.recording import Marker

FOLDER = "blinklog"
CONFIG, TOKEN, PASSWORD = "agent.toml", "api-token", "mqtt-password"
ENROLMENTS = 6
CODE = "ABCD-EFGH"
BEFORE = "# this device's own settings\n[session]\ncheckpoint_s = 5\n"

Files = dict[str, bytes]


class Enrolment:
    """Some enrolments of one device, one after another."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._identities = [self._identity() for _ in range(ENROLMENTS + 1)]
        self._states: list[Files] = []

    def _identity(self) -> Identity:
        chance = self._chance
        password = chance.randbytes(20).hex() if chance.random() < 0.7 else None
        device = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        broker = f"mqtts://broker-{chance.randrange(99)}.example" if password else None
        return Identity(device, chance.randbytes(32).hex(), "Kitchen", password, broker, None)

    def prepare(self, folder: Path) -> None:
        (folder / FOLDER).mkdir()
        (folder / FOLDER / CONFIG).write_text(BEFORE)

    def drive(self, folder: Path, mark: Marker) -> None:
        self._states.append(_files(folder))
        for identity in self._identities[:ENROLMENTS]:
            mark("begin")
            _enrol(folder, identity)
            mark("done")
            self._states.append(_files(folder))

    def check(self, folder: Path, marks: Sequence[str], tally: Tally) -> None:
        done = marks.count("done")
        allowed = self._states[done : marks.count("begin") + 1]
        found = _files(folder)
        tally.sessions += min(done, 1)
        for name in (CONFIG, TOKEN, PASSWORD):
            if found.get(name) not in [state.get(name) for state in allowed]:
                kind = "lost" if len(allowed) == 1 else "wrong"
                tally.fail(kind, f"{name}: {found.get(name, b'not there')[:60]!r}")
        self._enrol_again(folder, tally)

    def _enrol_again(self, folder: Path, tally: Tally) -> None:
        identity = self._identities[-1]
        try:
            config.load(folder / FOLDER / CONFIG, {})
            _enrol(folder, identity)
            there = config.load(folder / FOLDER / CONFIG, {})
        except (AgentError, OSError) as error:
            tally.fail("could_not_open", str(error))
            return
        if there.server.device != identity.device:
            tally.fail("wrong", f"enrolled again, but it is {there.server.device}")


def _enrol(folder: Path, identity: Identity) -> None:
    """Run the real command with the server's answer."""
    request = EnrolRequest("https://blinklog.example", CODE, folder / FOLDER / CONFIG, again=True)
    with mock.patch.object(enrol_module, "claim", return_value=identity):
        enrol(request, lambda: 0)


def _files(folder: Path) -> Files:
    return {
        path.name: path.read_bytes()
        for path in (folder / FOLDER).glob("*")
        if path.name in (CONFIG, TOKEN, PASSWORD)
    }
