"""The pinned key, and signatures of it: Ed25519, checked by the openssl program.

Every system that trusts certificates has that program; no library is needed.
"""

import hmac
import os
import re
import subprocess
import tempfile
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from agent.errors import AgentError
from agent.release.manifest import Manifest, ReleaseError, read_manifest, read_statement

KEY_NAME = "release-key.pem"  # beside the configuration, where only root writes
MOST_KEY_BYTES = 4096
MOST_TEXT_BYTES = 16 << 10
MOST_ROTATIONS = 8
CALL_S = 30.0

# A public Ed25519 key in DER is this and 32 bytes (RFC 8410).
_PREFIX = bytes.fromhex("302a300506032b6570032100")
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*")


class ReleaseKeyError(AgentError):
    """A key is not a public Ed25519 key."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A text and its signature in base64."""

    text: str
    signature: str


def checked_key(text: object) -> str:
    """Return a public Ed25519 key in canonical PEM. Raises ReleaseKeyError for anything else."""
    encoded = b64encode(_der(text)).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{encoded}\n-----END PUBLIC KEY-----\n"


def fingerprint(pem: str) -> str:
    """Return the first 16 bytes of the SHA-256 of the key in DER, in base64url.

    Raises ReleaseKeyError.
    """
    return urlsafe_b64encode(sha256(_der(pem)).digest()[:16]).decode().rstrip("=")


def pinned_key(file: Path) -> str | None:
    """Return the key that this device trusts; None if there is none, or none that can be used."""
    try:
        with file.open(encoding="ascii", errors="replace") as opened:
            return checked_key(opened.read(MOST_KEY_BYTES + 1))
    except (OSError, ReleaseKeyError):
        return None


def verified(release: Signed, rotations: Sequence[Signed], pinned: str) -> tuple[Manifest, str]:
    """Return the manifest that was signed, and the key that signed it.

    That is the pinned key, or one that it has introduced by `rotations`. Raises ReleaseError.
    """
    key = _latest(pinned, rotations)
    if not is_signed(key, release):
        raise ReleaseError("signature", f"it is not signed by the key {fingerprint(key)}")
    manifest = read_manifest(release.text)
    if not hmac.compare_digest(manifest.key, fingerprint(key)):
        raise ReleaseError("signature", "the manifest names another key")
    return manifest, key


def _latest(key: str, rotations: Sequence[Signed]) -> str:
    """Follow the keys from the pinned one on. Those before it are passed over."""
    for each in rotations[:MOST_ROTATIONS]:
        new, signed_by = read_statement(each.text)
        if signed_by != fingerprint(key):
            continue
        if not is_signed(key, each):
            raise ReleaseError("signature", "the new key is not signed by the one before")
        try:
            key = checked_key(new)
        except ReleaseKeyError as error:
            raise ReleaseError("signature", str(error)) from None
    return key


def is_signed(pem: str, signed: Signed) -> bool:
    """Return whether the key has signed the text. Raises ReleaseError if that can't be told."""
    if len(signed.text) > MOST_TEXT_BYTES or len(signed.signature) > MOST_TEXT_BYTES:
        return False
    try:
        signature = b64decode(signed.signature, validate=True)
    except ValueError:
        return False
    with tempfile.TemporaryDirectory(prefix="blinklog-") as folder:
        contents = {"key": pem.encode(), "text": signed.text.encode(), "signature": signature}
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        return _openssl_verifies(*(f"{folder}/{name}" for name in contents))


def _openssl_verifies(key: str, text: str, signature: str) -> bool:
    call = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", key]
    try:
        done = subprocess.run(
            [*call, "-in", text, "-sigfile", signature],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=CALL_S,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise ReleaseError("signature", "openssl does not answer") from None
    except OSError:
        hint = "openssl is not installed (apt install openssl)"
        raise ReleaseError("signature", hint) from None
    return done.returncode == 0


def _der(text: object) -> bytes:
    is_text = isinstance(text, str) and len(text) <= MOST_KEY_BYTES
    found = _PEM.fullmatch(str(text).strip()) if is_text else None
    try:
        der = b64decode("".join(found[1].split()), validate=True) if found else b""
    except ValueError:
        der = b""
    if len(der) != len(_PREFIX) + 32 or not der.startswith(_PREFIX):
        raise ReleaseKeyError("expected a public Ed25519 key in PEM")
    return der
