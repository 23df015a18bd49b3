"""systemd: notify it of this process's state, and query and restart the device's services."""

import contextlib
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AgentError

WATCH, SYNC = "blinklog-watch.service", "blinklog-sync.service"
SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)
SHOW_S = 5.0
STEP_S = 60.0  # from one step of long work to the next, at most
RESTART_S = 60.0  # a service may need its whole TimeoutStopSec to stop
PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "Result")


def supervises() -> bool:
    """Return whether systemd waits for notifications and restarts this process when it exits."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def ready() -> None:
    """Report that the service has started."""
    _notify("READY=1")


def watchdog() -> None:
    """Report progress. Call this from the loop that makes progress, never from a timer."""
    _notify("WATCHDOG=1")


def long_step() -> None:
    """Report a step of long work: like `watchdog`, and the service may take longer to start."""
    watchdog()
    _notify(f"EXTEND_TIMEOUT_USEC={STEP_S * 1_000_000:.0f}")


def status(text: str) -> None:
    """Set the line shown by `systemctl status`. It must not contain personal data."""
    _notify(f"STATUS={text}")


def stopping() -> None:
    """Report that the service is shutting down."""
    _notify("STOPPING=1")


def _notify(message: str) -> None:
    """Send one datagram to the socket that systemd named: sd_notify(3).

    Ignore send errors; if watchdog pings keep failing, systemd restarts the process.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
    ):
        out.settimeout(1)
        out.connect(address)
        out.send(message.encode())


@dataclass(frozen=True, slots=True)
class Unit:
    """The state of a service.

    `active` is its ActiveState, `sub` its SubState, `enabled` its UnitFileState and `result` its
    Result: how it last ended.
    """

    name: str
    loaded: bool
    active: str
    sub: str
    enabled: str
    restarts: int
    result: str

    def text(self) -> str:
        """Describe the state in a few words."""
        if not self.loaded:
            return "not installed"
        again = f", {self.restarts} restarts" if self.restarts else ""
        result = "" if self.result == "success" else f", ended by {self.result}"
        return f"{self.active} ({self.sub}), {self.enabled}{again}{result}"


def units() -> list[Unit] | None:
    """Return the state of both services, or None on a system without systemd.

    Raises AgentError if systemctl fails.
    """
    if not SYSTEMD.is_dir():
        return None
    return [_unit(name) for name in (WATCH, SYNC)]


def restart(name: str) -> str:
    """Restart a service if it is installed and enabled. Return what was done or what to do."""
    try:
        found = _unit(name) if SYSTEMD.is_dir() else None
        if found is None or not found.loaded:
            return f"{name} is not installed here: start blink-agent sync yourself"
        if found.active == "inactive" and found.enabled != "enabled":
            return f"{name} is not enabled: sudo systemctl enable --now {name}"
        with contextlib.suppress(AgentError):
            _systemctl(SHOW_S, "reset-failed", name)  # clears the limit on restarts
        _systemctl(RESTART_S, "restart", name)
    except AgentError as error:
        return f"{error}: sudo systemctl restart {name}"
    return f"{name} restarted"


def _unit(name: str) -> Unit:
    output = _systemctl(SHOW_S, "show", f"--property={','.join(PROPERTIES)}", name)
    found = dict(line.partition("=")[::2] for line in output.splitlines())
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


def _systemctl(timeout_s: float, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AgentError(f"systemctl did not answer within {timeout_s:g} s") from error
    except OSError as error:
        raise AgentError(f"systemctl can't be run: {error.strerror}") from error
    if done.returncode != 0:
        raise AgentError(f"systemctl {arguments[0]} failed: {done.stderr.strip()[:200]}")
    return done.stdout
