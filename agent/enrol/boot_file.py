"""`blinklog.toml` on the boot partition: the same as the two codes, written on a computer.

    [wifi]
    ssid = "home"
    password = "correct horse battery"
    hidden = true            # if its name is not broadcast

    [server]
    code = "blinklog:1;U:https://blinklog.example.org;C:ABCD2345"

In place of the code's whole text, `address` and an eight-character `code` do as well.

The file must be root's, and nobody else's to write, as on every mounted boot partition: whoever can
write it chooses the device's network and owner. Links are not followed.
"""

import contextlib
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from agent.enrol.codes import (
    SCHEME,
    CodeError,
    Security,
    ServerCode,
    WifiCode,
    parse,
    server,
    wifi,
)
from agent.errors import ConfigError
from agent.files import sync_path

NAME = "blinklog.toml"
FOLDERS = (Path("/boot/firmware"), Path("/boot"))
LONGEST = 16 << 10  # bytes

_KEYS: dict[str, dict[str, type]] = {
    "wifi": {"ssid": str, "password": str, "hidden": bool, "security": str},
    "server": {"code": str, "address": str, "ca_fingerprint": str, "mqtt_ca_fingerprint": str},
}
_KINDS = {str: "text in quotes", bool: "true or false"}
_SECURITIES: dict[str, Security] = {"open": "open", "wpa": "wpa", "sae": "sae"}


@dataclass(frozen=True, slots=True)
class BootFile:
    """What the file asks for: a network, a server, or both."""

    wifi: WifiCode | None
    server: ServerCode | None


def find(folders: tuple[Path, ...] = FOLDERS) -> Path | None:
    """Return the path of the file, or None if there is none."""
    paths = (each / NAME for each in folders)
    return next((each for each in paths if each.is_symlink() or each.is_file()), None)


def read(path: Path) -> BootFile:
    """Read the file. Raises ConfigError with the key; a password is never quoted."""
    try:
        with _opened(path, os.O_RDONLY) as file:
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) > LONGEST:
        raise ConfigError(f"{path}: expected at most {LONGEST} bytes")
    try:
        values = tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8: byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at .*\)$", str(error))
        raise ConfigError(f"{path}: invalid TOML {where[0] if where else ''}".strip()) from None
    try:
        return _checked(values)
    except CodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def remove(path: Path) -> None:
    """Overwrite the file and delete it: it holds a password. Raises OSError."""
    with contextlib.suppress(OSError, ConfigError), _opened(path, os.O_RDWR) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= LONGEST:
            file.write(bytes(size))
            file.flush()
            os.fsync(file.fileno())
    path.unlink(missing_ok=True)
    sync_path(path.parent)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[BinaryIO]:
    """Open the file if only this user, who is root, can write it. Raises OSError, ConfigError."""
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise ConfigError(f"{path}: expected a file with one name")
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise ConfigError(f"{path}: expected a file that only root can write")
        with os.fdopen(file, "rb" if flags == os.O_RDONLY else "r+b", closefd=False) as opened:
            yield opened
    finally:
        os.close(file)


def _checked(values: dict[str, Any]) -> BootFile:
    for section, keys in values.items():
        known = _KEYS.get(section)
        if known is None or not isinstance(keys, dict):
            raise ConfigError(f"unknown section [{section[:40]}]: expected [wifi] and [server]")
        for key, value in keys.items():
            if key not in known:
                raise ConfigError(
                    f"unknown key {key[:40]!r} in [{section}]: expected {', '.join(known)}"
                )
            if type(value) is not known[key]:
                raise ConfigError(f"{section}.{key}: expected {_KINDS[known[key]]}")
    if not values.get("wifi") and not values.get("server"):
        raise ConfigError("expected [wifi] or [server], found neither")
    return BootFile(_wifi(values.get("wifi")), _server(values.get("server")))


def _wifi(keys: dict[str, Any] | None) -> WifiCode | None:
    if not keys:
        return None
    password = keys.get("password", "")
    named = keys.get("security", "wpa" if password else "open")
    if named not in _SECURITIES:
        raise ConfigError("wifi.security: expected open, wpa or sae")
    hidden = keys.get("hidden", False)
    return wifi(keys.get("ssid", ""), password, _SECURITIES[named], hidden=hidden)


def _server(keys: dict[str, Any] | None) -> ServerCode | None:
    if not keys:
        return None
    code = keys.get("code", "")
    if code.lower().startswith(SCHEME):
        found = parse(code)
        assert isinstance(found, ServerCode)  # by its scheme
        return found
    if "address" not in keys:
        raise ConfigError("server.address: expected https://…, found none")
    short = re.sub(r"[\s-]", "", code).upper()
    url = keys["address"].rstrip("/")
    return server(url, short, keys.get("ca_fingerprint"), keys.get("mqtt_ca_fingerprint"))
