"""Join a Wi-Fi network by NetworkManager.

The password is in no command line, which every user could read. It is in a profile in memory (in
/run) while it is tried. NetworkManager writes the profile to the disk when the network has been
joined; otherwise it is forgotten, and the profiles that were there stay as they are.
"""

import contextlib
import os
import subprocess
import uuid
from pathlib import Path

from agent.enrol.codes import WifiCode
from agent.errors import AgentError

PROFILES = Path("/run/NetworkManager/system-connections")
TRIAL = "blinklog-joining.nmconnection"

JOIN_S = 60  # a router needs up to 30 s, and its DHCP as long again
CALL_S = 20.0

# nmcli(1), "Exit status".
_TIMEOUT, _NOT_RUNNING, _NO_SUCH = 3, 8, 10

# NetworkManager's reasons for a failed activation, as nmcli says them in English.
_REASONS = {
    "Secrets were required": "the password is wrong",
    "network could not be found": "there is no such network in reach",
    "No suitable device": "this device has no Wi-Fi that can be used",
    "IP configuration could not be reserved": "the network gave no address: is its router well?",
}


class WifiError(AgentError):
    """The network was not joined. Nothing has changed."""


def join(code: WifiCode, profiles: Path = PROFILES) -> None:
    """Join the network, and do so from now on after each start. Raises WifiError."""
    forget_trial(profiles)
    profile_id, name = str(uuid.uuid4()), f"Blinklog {_shown(code.ssid)}"
    file = profiles / TRIAL
    try:
        _write(file, _profile(code, profile_id, name))
        _prepare()
        _nmcli("connection", "load", str(file))
        _nmcli("--wait", str(JOIN_S), "connection", "up", "uuid", profile_id, wait_s=JOIN_S)
        # A change without --temporary writes the profile to the disk.
        _nmcli("connection", "modify", "uuid", profile_id, "connection.autoconnect", "yes")
    except OSError as error:
        raise WifiError(f"NetworkManager's profile can't be written: {error.strerror}") from error
    finally:
        forget_trial(profiles)
    _forget_earlier(profile_id, name)


def forget_trial(profiles: Path = PROFILES) -> None:
    """Remove the profile that is or was being tried, unless the network has been joined.

    Removes what a killed process left, too: NetworkManager keeps what it has on the disk.
    """
    file = profiles / TRIAL
    if not file.exists():
        return
    with contextlib.suppress(OSError):
        file.unlink()
    with contextlib.suppress(WifiError):
        _nmcli("connection", "reload")


def _prepare() -> None:
    """Switch the Wi-Fi on, and look for networks: one that was not seen yet can't be joined."""
    _nmcli("radio", "wifi", "on")
    with contextlib.suppress(WifiError):  # only a help
        _nmcli("--terse", "--fields", "SSID", "device", "wifi", "list", "--rescan", "yes")


def _forget_earlier(profile_id: str, name: str) -> None:
    """Delete profiles of the same name: they are of the same network, with an older password."""
    with contextlib.suppress(WifiError):
        listed = _nmcli("--terse", "--escape", "no", "--fields", "UUID,NAME", "connection", "show")
        for line in listed.splitlines():
            other, _, its_name = line.partition(":")
            if its_name == name and other != profile_id:
                _nmcli("connection", "delete", "uuid", other)


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "w", encoding="utf-8") as out:
        out.write(content)


def _profile(code: WifiCode, profile_id: str, name: str) -> str:
    """Return the profile in NetworkManager's keyfile format: nm-settings-keyfile(5)."""
    lines = [
        "[connection]",
        f"id={_escaped(name)}",
        f"uuid={profile_id}",
        "type=wifi",
        "autoconnect=false",
        "[wifi]",
        "mode=infrastructure",
        f"ssid={''.join(f'{byte};' for byte in code.ssid)}",
        f"hidden={'true' if code.hidden else 'false'}",
    ]
    if code.security != "open":
        management = "sae" if code.security == "sae" else "wpa-psk"
        secret = _escaped(code.password)
        lines += ["[wifi-security]", f"key-mgmt={management}", f"psk={secret}"]
    return "\n".join([*lines, "[ipv4]", "method=auto", "[ipv6]", "method=auto", ""])


def _escaped(value: str) -> str:
    """Escape a value as GKeyFile does: backslashes, and spaces at either end."""
    value = value.replace("\\", "\\\\")
    inner = value.strip(" ")
    before, after = value.partition(inner)[::2] if inner else (value, "")
    return "\\s" * len(before) + inner + "\\s" * len(after)


def _shown(ssid: bytes) -> str:
    text = ssid.decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "?" for each in text)


def _nmcli(*arguments: str, wait_s: float = 0.0) -> str:
    """Run nmcli. Return its output. Raises WifiError."""
    try:
        done = subprocess.run(
            ["nmcli", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=wait_s + CALL_S,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise WifiError("NetworkManager does not answer") from error
    except OSError as error:
        raise WifiError(
            "NetworkManager is not installed (apt install network-manager): use a network cable"
        ) from error
    if done.returncode != 0:
        raise WifiError(_explained(done.returncode, done.stderr))
    return done.stdout


def _explained(status: int, said: str) -> str:
    if status == _NOT_RUNNING:
        return "NetworkManager does not run: systemctl status NetworkManager"
    if status == _TIMEOUT:
        return f"the network could not be joined within {JOIN_S} s"
    if status == _NO_SUCH:
        return "NetworkManager did not accept the network's profile"
    reason = next((reason for text, reason in _REASONS.items() if text in said), None)
    shown = "".join(each for each in said.strip() if each.isprintable())[:200]
    return reason or f"NetworkManager: {shown or f'exit status {status}'}"
