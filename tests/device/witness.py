"""What the device has committed, as told by a reader of its store until the power goes."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from tests.device.installation import wait_for
from tests.device.machine import Machine
from tests.device.sockets import lines_of

PROGRAM = "/usr/local/lib/test-witness.py"


@dataclass(frozen=True, slots=True)
class Row:
    """A session's newest document in the device's store."""

    revision: int
    acked: int
    state: str


class Witness:
    """Looks over the store's shoulder, from one boot to the next cut. `rows` is by session."""

    def __init__(self, machine: Machine, store: str) -> None:
        self.rows: dict[str, Row] = {}
        self.ready = threading.Event()
        self.trouble = ""
        lines = lines_of(machine.port("witness"), timeout_s=86400)
        self._thread = threading.Thread(target=self._listen, args=(lines,), daemon=True)
        self._thread.start()
        machine.run(f"systemd-run --quiet python3 -S {PROGRAM} {store} /dev/virtio-ports/witness")

    def await_row(self, known: set[str], state: str, timeout_s: float) -> str:
        """The session that is not among the known, once it is committed in that state."""

        def found() -> str | None:
            return next((each for each in self.new(known) if self.rows[each].state == state), None)

        return str(wait_for(found, f"a session is {state} on the device {self.trouble}", timeout_s))

    def new(self, known: set[str]) -> set[str]:
        """The sessions that are not among the known."""
        return set(self.rows) - known

    def _listen(self, lines: Iterator[str]) -> None:
        for line in lines:
            told = json.loads(line)
            if told == "all":
                self.ready.set()
            elif isinstance(told, list):
                session_id, revision, acked, state = told
                self.rows[session_id] = Row(revision, acked, state)
            else:
                self.trouble = str(told)
