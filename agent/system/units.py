"""The services as systemd sees them, where there is systemd."""

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AgentError

WATCH, SYNC = "blinklog-watch.service", "blinklog-sync.service"
SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)
SHOW_S = 5.0
RESTART_S = 60.0  # a service may take its TimeoutStopSec to end
PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "Result")


@dataclass(frozen=True, slots=True)
class Unit:
    """A service: `active` as ActiveState, `enabled` as UnitFileState, and how it last ended."""

    name: str
    loaded: bool
    active: str
    sub: str
    enabled: str
    restarts: int
    result: str

    def text(self) -> str:
        """In a few words."""
        if not self.loaded:
            return "not installed"
        again = f", {self.restarts} restarts" if self.restarts else ""
        result = "" if self.result == "success" else f", ended by {self.result}"
        return f"{self.active} ({self.sub}), {self.enabled}{again}{result}"


def units() -> list[Unit] | None:
    """Both services, or None where there is no systemd. Raises AgentError if it doesn't answer."""
    if not SYSTEMD.is_dir():
        return None
    return [_unit(name) for name in (WATCH, SYNC)]


def restart(name: str) -> str:
    """Starts a service anew, if it is installed and enabled; says what was done, or what to do."""
    try:
        found = _unit(name) if SYSTEMD.is_dir() else None
        if found is None or not found.loaded:
            return f"{name} is not installed here: start blink-agent sync by yourself"
        if found.active == "inactive" and found.enabled != "enabled":
            return f"{name} is not enabled: sudo systemctl enable --now {name}"
        with contextlib.suppress(AgentError):
            _systemctl(SHOW_S, "reset-failed", name)  # or it may have been started too often
        _systemctl(RESTART_S, "restart", name)
    except AgentError as error:
        return f"{error}: sudo systemctl restart {name}"
    return f"{name} started anew"


def _unit(name: str) -> Unit:
    said = _systemctl(SHOW_S, "show", f"--property={','.join(PROPERTIES)}", name)
    found = dict(line.partition("=")[::2] for line in said.splitlines())
    restarts = found.get("NRestarts", "")
    return Unit(
        name,
        loaded=found.get("LoadState") == "loaded",
        active=found.get("ActiveState", "unknown"),
        sub=found.get("SubState", "unknown"),
        enabled=found.get("UnitFileState") or "not enabled",
        restarts=int(restarts) if restarts.isdigit() else 0,
        result=found.get("Result", "success"),
    )


def _systemctl(limit_s: float, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AgentError(f"systemctl did not answer within {limit_s:g} s") from error
    except OSError as error:
        raise AgentError(f"systemctl can't be run: {error.strerror}") from error
    if done.returncode != 0:
        raise AgentError(f"systemctl {arguments[0]} failed: {done.stderr.strip()[:200]}")
    return done.stdout
