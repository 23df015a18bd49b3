"""Run the installer of an unpacked release, as a unit of its own, and find out how it ended.

The unit goes on if this process dies, and a restart of systemd, which an installer may ask for,
does not break it off.
"""

import contextlib
import fcntl
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

UNIT = "blinklog-upgrade.service"
CURRENT, UNPROVEN = Path("/opt/blinklog/current"), Path("/opt/blinklog/unproven")
LOCK = Path("/run/blinklog-install/lock")
LONGEST_S = 7200.0  # the unit itself is ended after an hour
POLL_S = 1.0
CALL_S = 60.0
TAIL_BYTES = 16 << 10

# The exit status of install.sh.
TAKEN_BACK, TRY_LATER = 3, 4

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The unit, and where to look for what it did. `log` is its output."""

    log: Path
    current: Path = CURRENT
    unproven: Path = UNPROVEN
    lock: Path = LOCK
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> int:
        """Start the unit, wait for its end, and return the exit status of the installer."""
        systemctl("reset-failed", UNIT)
        systemctl("start", "--no-block", UNIT)
        self.sleep(POLL_S)
        self.wait()
        told = _shown("ExecMainStatus", "Result")
        status = told.get("ExecMainStatus", "")
        if told.get("Result") != "success" and status in ("", "0"):
            return 1  # it was killed, or never began
        return int(status) if status.isdigit() else 1

    def wait(self) -> None:
        """Wait until the unit has ended. What systemd does not say now, it says later."""
        until_s = time.monotonic() + LONGEST_S
        while time.monotonic() < until_s:
            state = _shown("ActiveState").get("ActiveState")
            if state in ("inactive", "failed"):
                return
            self.sleep(POLL_S)

    def version(self) -> str | None:
        """Return the version of the current release; None if it does not say."""
        with contextlib.suppress(OSError):
            for line in (self.current / "deploy" / "release").read_text().splitlines():
                if line.startswith("version="):
                    return line.removeprefix("version=")
        return None

    def mend(self) -> None:
        """Take back an upgrade that was cut off, and start the services again."""
        if self.unproven.exists():
            systemctl("start", "blinklog-undo.service")
        systemctl("start", "--no-block", "blinklog-watch.service", "blinklog-sync.service")

    def last_words(self) -> str | None:
        """Return the reason that the installer gave."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = _COLOUR.sub("", file.read().decode("utf-8", "replace")).splitlines()
            said = [line.removeprefix("!! ") for line in lines if line.startswith("!! ")]
            return "".join(each for each in said[-1] if each.isprintable()) if said else None
        return None

    def nobody_installs(self) -> bool:
        """Return whether no installer runs now, such as one that a person has started."""
        try:
            with self.lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # nobody has installed since the start
            return True
        return True


def systemctl(*arguments: str) -> str:
    """Run systemctl and return its output; nothing if it fails, which the next look shows."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            ["systemctl", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=CALL_S,
            check=False,
        ).stdout
    return ""


def _shown(*properties: str) -> dict[str, str]:
    output = systemctl("show", f"--property={','.join(properties)}", UNIT)
    return dict(line.partition("=")[::2] for line in output.splitlines())
