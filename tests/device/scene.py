"""What all that is shown plays in: the device, its server, and what both are given."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.device.installation import Server, wait_for
from tests.device.machine import Machine
from tests.device.sockets import LONG_PRESS_S, PRESS_S

PATIENCE_S = 900.0  # what takes seconds on an idle host, and minutes on a busy one
READY = "systemctl is-active --quiet blinklog-watch"
CONFIG = "/etc/blinklog/agent.toml"
STORE = "/var/lib/blinklog/agent.sqlite3"


@dataclass
class Scene:
    """Who plays. `folder` has the device's files; `payload` is what the device sees at /mnt."""

    machine: Machine
    server: Server
    folder: Path
    payload: Path
    person: str  # whose device it is
    label: str  # where it hangs
    installed: Path  # the disk of a device that was just installed
    cuts: int = 10  # of the power, while sessions end
    random: Random = field(default_factory=lambda: Random(5))

    def boot(self, **how: Any) -> float:
        """Power on; returns when the device is ready to measure. The seconds that took."""
        began_s = self.machine.boot(**how)
        self.machine.run("mountpoint -q /mnt || mount -o ro /dev/vdb /mnt")
        self.machine.until(READY, "blinklog-watch is ready", PATIENCE_S)
        return began_s

    def agent(self, arguments: str, timeout_s: float = PATIENCE_S) -> str:
        """Runs a blink-agent command on the device, as who looks after it would."""
        return self.machine.run(f"blink-agent {arguments}", timeout_s)

    def kept(self) -> list[dict[str, Any]]:
        """The documents in the device's store, newest first."""
        return list(json.loads(self.agent("sessions --json 2>/dev/null")))

    def sessions(self) -> dict[str, dict[str, Any]]:
        """The person's history, by id."""
        return self.server.sessions(self.person)

    def begin_by_button(self) -> str:
        """A short press; the session's id, once the server knows it as under way."""
        known = set(self.sessions())
        self.machine.lever.press(PRESS_S)

        def begun() -> str | None:
            for each in self.sessions().values():
                if each["id"] not in known and each["state"] == "active":
                    return str(each["id"])
            return None

        return str(wait_for(begun, "the session is active", PATIENCE_S))

    def end_by_button(self, session_id: str) -> dict[str, Any]:
        """A long press; the session as the server has it, once it is over there."""
        self.machine.lever.press(LONG_PRESS_S + PRESS_S)
        self.await_state(session_id, "ended")
        return self.server.session(session_id)

    def await_state(self, session_id: str, state: str, timeout_s: float = PATIENCE_S) -> None:
        """Until the server has the session in that state."""

        def reached() -> bool:
            return bool(self.sessions().get(session_id, {}).get("state") == state)

        wait_for(reached, f"session {session_id} is {state}", timeout_s)

    def await_measured(self, session_id: str, seconds: float) -> float:
        """Until the history has a checkpoint of so many seconds; how many it has."""

        def measured() -> float | None:
            found = self.server.session(session_id)["duration_s"] or 0.0
            return float(found) if found >= seconds else None

        return float(wait_for(measured, f"{seconds} s of {session_id} are there", PATIENCE_S))
