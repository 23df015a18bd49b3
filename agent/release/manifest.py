"""What the operator signs: the manifest of a release, and a new key signed by the one before.

`server/releases/manifest.py` writes it; `tests/golden/releases` is read by both.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from agent.errors import AgentError

KIND, KEY_KIND, FORMAT = "blinklog-release", "blinklog-release-key", 1
NAME = "blinklog-device"
MOST_BYTES = 1 << 30  # of an archive; a release for one machine has about 130 MB

_VERSION = re.compile(r"\d{1,5}(\.\d{1,5}){0,3}")
_PYTHON = re.compile(r"3\.\d{1,2}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[A-Za-z0-9_-]{22}")
_WORD = re.compile(r"[a-z0-9_]{1,32}")


class ReleaseError(AgentError):
    """A release is not taken. `code` is for the server's page, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Machine:
    """What runs here: the version of the agent, the machine and Python, such as 3.11."""

    version: str
    machine: str
    python: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A release: its version, its archive, and who may take it.

    It is for devices from version `least` on. A device takes one that is older than its own only if
    it runs one of `back_from`. `key` is the fingerprint of the key that signed it.
    """

    version: str
    size: int
    sha256: str
    machine: str
    pythons: tuple[str, ...]
    least: str
    back_from: tuple[str, ...]
    key: str

    def check(self, here: Machine) -> None:
        """Raise ReleaseError if this device is not to take it."""
        if here.machine != self.machine or here.python not in self.pythons:
            raise ReleaseError(
                "machine",
                f"it is for {self.machine}, Python {' or '.join(self.pythons)}; this is"
                f" {here.machine}, Python {here.python}",
            )
        own, new, least = map(number, (here.version, self.version, self.least))
        if own is None or new is None or least is None:
            raise ReleaseError("older", f"the versions can't be compared: this is {here.version}")
        if new == own or (new < own and here.version not in self.back_from):
            raise ReleaseError("older", f"it is {self.version}, and this is {here.version}")
        if own < least:
            raise ReleaseError("too_old", f"it needs {self.least}, and this is {here.version}")


def read_manifest(text: str) -> Manifest:
    """Read the text that was signed. Raises ReleaseError, which names the first invalid key."""
    found = _object(text, KIND)
    size, name = found.get("size"), found.get("name")
    if name != NAME:
        raise ReleaseError("manifest", f"name: expected {NAME}")
    if type(size) is not int or not 0 < size <= MOST_BYTES:
        raise ReleaseError("manifest", f"size: expected 1 to {MOST_BYTES} bytes")
    return Manifest(
        version=_text(found, "version", _VERSION),
        size=size,
        sha256=_text(found, "sha256", _SHA256),
        machine=_text(found, "machine", _WORD),
        pythons=_texts(found, "pythons", _PYTHON),
        least=_text(found, "least", _VERSION),
        back_from=_texts(found, "back_from", _VERSION),
        key=_text(found, "key", _FINGERPRINT),
    )


def read_statement(text: str) -> tuple[str, str]:
    """Return a new key in PEM and the fingerprint of the key that introduces it.

    Raises ReleaseError.
    """
    found = _object(text, KEY_KIND)
    pem = found.get("key")
    if not isinstance(pem, str):
        raise ReleaseError("manifest", "key: expected a key in PEM")
    return pem, _text(found, "signed_by", _FINGERPRINT)


def number(version: str) -> tuple[int, ...] | None:
    """Return a version in a form that can be compared; None if it can't be."""
    if not _VERSION.fullmatch(version):
        return None
    parts = [int(part) for part in version.split(".")]
    return tuple(parts + [0] * (4 - len(parts)))


def _object(text: str, kind: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ReleaseError("manifest", "expected a JSON object") from None
    if not isinstance(found, dict) or (found.get("kind"), found.get("format")) != (kind, FORMAT):
        raise ReleaseError("manifest", f"expected a {kind} of format {FORMAT}")
    return found


def _text(found: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ReleaseError("manifest", f"{name}: expected {pattern.pattern}")
    return value


def _texts(found: dict[str, Any], name: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    values = found.get(name)
    if not isinstance(values, list) or len(values) > 16:
        raise ReleaseError("manifest", f"{name}: expected a list of at most 16")
    return tuple(_text({name: value}, name, pattern) for value in values)
