"""What the operator signs: the manifest of a release, and a new key signed by the one before.

`agent/release/manifest.py` reads the same; `tests/golden/release.json` is read by both.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KIND, KEY_KIND, FORMAT = "blinklog-release", "blinklog-release-key", 1
NAME = "blinklog-device"
MOST_BYTES = 1 << 30  # of an archive; a release for one machine has about 130 MB
VERSION = re.compile(r"\d{1,5}(\.\d{1,5}){0,3}")
_PYTHON = re.compile(r"3\.\d{1,2}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[A-Za-z0-9_-]{22}")
MACHINES = ("aarch64", "x86_64")


class ManifestError(ValueError):
    """The text is not a manifest."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A release: its version, its archive and who may take it. `text` is what was signed.

    Devices take it from version `least` on. Older than their own, they take it only if they run one
    of `back_from`. `key` is the fingerprint of the key that signed it.
    """

    text: str
    version: str
    size: int
    sha256: str
    machine: str
    pythons: tuple[str, ...]
    least: str
    back_from: tuple[str, ...]
    key: str

    @property
    def file_name(self) -> str:
        """Return the name of the archive on the server."""
        return f"{NAME}-{self.version}-{self.machine}.tar"


def manifest_text(fields: Mapping[str, Any]) -> str:
    """Return the text to sign for these fields. Raises ManifestError if one is invalid."""
    whole = {"kind": KIND, "format": FORMAT, "name": NAME, **fields}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    read_manifest(text)
    return text


def read_manifest(text: str) -> Manifest:
    """Read a manifest. Raises ManifestError, which names the first invalid key."""
    found = _object(text, KIND)
    if found.get("name") != NAME:
        raise ManifestError(f"name: expected {NAME}")
    pythons, back_from = _texts(found, "pythons", _PYTHON), _texts(found, "back_from", VERSION)
    size = found.get("size")
    if type(size) is not int or not 0 < size <= MOST_BYTES:
        raise ManifestError(f"size: expected 1 to {MOST_BYTES} bytes")
    if found.get("machine") not in MACHINES:
        raise ManifestError(f"machine: expected one of {', '.join(MACHINES)}")
    if not pythons:
        raise ManifestError("pythons: expected at least one")
    return Manifest(
        text=text,
        version=_text(found, "version", VERSION),
        size=size,
        sha256=_text(found, "sha256", _SHA256),
        machine=found["machine"],
        pythons=pythons,
        least=_text(found, "least", VERSION),
        back_from=back_from,
        key=_text(found, "key", _FINGERPRINT),
    )


def key_statement(pem: str, signed_by: str) -> str:
    """Return the text with which the key `signed_by` introduces its successor."""
    whole = {"kind": KEY_KIND, "format": FORMAT, "key": pem, "signed_by": signed_by}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


def read_statement(text: str) -> tuple[str, str]:
    """Return the new key in PEM and the fingerprint of the key that introduces it.

    Raises ManifestError.
    """
    found = _object(text, KEY_KIND)
    pem = found.get("key")
    if not isinstance(pem, str):
        raise ManifestError("key: expected a key in PEM")
    return pem, _text(found, "signed_by", _FINGERPRINT)


def number(version: str) -> tuple[int, ...] | None:
    """Return a version in a form that can be compared; None if it can't be."""
    if not VERSION.fullmatch(version):
        return None
    parts = [int(part) for part in version.split(".")]
    return tuple(parts + [0] * (4 - len(parts)))


def fits(manifest: Manifest, version: str, machine: str, python: str) -> bool:
    """Return whether a device that runs `version` would take the release."""
    own, new, least = number(version), number(manifest.version), number(manifest.least)
    if machine != manifest.machine or python not in manifest.pythons:
        return False
    if own is None or new is None or least is None or own < least:
        return False
    return new > own or (new < own and version in manifest.back_from)


def _object(text: str, kind: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ManifestError("expected a JSON object") from None
    if not isinstance(found, dict) or (found.get("kind"), found.get("format")) != (kind, FORMAT):
        raise ManifestError(f"expected a {kind} of format {FORMAT}")
    return found


def _text(found: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ManifestError(f"{name}: expected {pattern.pattern}")
    return value


def _texts(found: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    values = found.get(name)
    if not isinstance(values, list) or len(values) > 16:
        raise ManifestError(f"{name}: expected a list of at most 16")
    return tuple(_text({name: value}, name, pattern) for value in values)
