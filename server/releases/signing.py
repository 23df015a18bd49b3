"""Ed25519 keys and signatures, by the openssl program: devices have it too, and no library for it.

Nothing here keeps a private key: it stays in the operator's file.
"""

import os
import re
import subprocess
import tempfile
from base64 import b64decode, b64encode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

# A public Ed25519 key in DER is this and 32 bytes (RFC 8410).
PREFIX = bytes.fromhex("302a300506032b6570032100")
FINGERPRINT_BYTES = 16
MOST_KEY_BYTES = 4096
CALL_S = 120.0  # openssl may ask for the pass phrase of a private key
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*")


class SigningError(Exception):
    """A key or a signature can't be made or used."""


def checked_key(text: str) -> str:
    """Return a public Ed25519 key in canonical PEM. Raises SigningError for anything else."""
    return _pem(_der(text))


def fingerprint(pem: str) -> str:
    """Return the first 16 bytes of the SHA-256 of the public key in DER, in base64url.

    Raises SigningError.
    """
    return urlsafe_b64encode(sha256(_der(pem)).digest()[:FINGERPRINT_BYTES]).decode().rstrip("=")


def make_key(file: Path) -> None:
    """Create a private key that only its owner may read. Raises SigningError if the file exists."""
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise SigningError(f"{file}: {error.strerror}") from None
    try:
        # openssl opens the file, which keeps its mode.
        _openssl("genpkey", "-algorithm", "ed25519", "-out", str(file))
    except SigningError:
        file.unlink()
        raise


def public_key(private: Path) -> str:
    """Return the public key in PEM of a file with a private one. Raises SigningError."""
    return checked_key(_openssl("pkey", "-in", str(private), "-pubout").decode("ascii", "replace"))


def sign(private: Path, text: str) -> str:
    """Return the signature of `text` in base64. Raises SigningError."""
    with tempfile.TemporaryDirectory(prefix="blinklog-") as folder:
        message = Path(folder) / "message"
        message.write_bytes(text.encode())
        call = ("pkeyutl", "-sign", "-rawin", "-inkey", str(private), "-in", str(message))
        return b64encode(_openssl(*call)).decode()


def is_signed(pem: str, text: str, signature: str) -> bool:
    """Return whether the key has signed the text. Raises SigningError for an invalid key."""
    pem = checked_key(pem)
    with tempfile.TemporaryDirectory(prefix="blinklog-") as folder:
        key, message, signed = (Path(folder) / name for name in ("key", "message", "signature"))
        key.write_text(pem)
        message.write_bytes(text.encode())
        try:
            signed.write_bytes(b64decode(signature, validate=True))
        except ValueError:
            return False
        call = ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(key)]
        return _run([*call, "-in", str(message), "-sigfile", str(signed)]).returncode == 0


def _der(pem: str) -> bytes:
    found = _PEM.fullmatch(pem.strip()) if len(pem) <= MOST_KEY_BYTES else None
    try:
        der = b64decode("".join(found[1].split()), validate=True) if found else b""
    except ValueError:
        der = b""
    if len(der) != len(PREFIX) + 32 or not der.startswith(PREFIX):
        raise SigningError("expected a public Ed25519 key in PEM")
    return der


def _pem(der: bytes) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


def _openssl(*arguments: str) -> bytes:
    done = _run(list(arguments))
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SigningError(f"openssl {arguments[0]}: {said[-1] if said else done.returncode}")
    return done.stdout


def _run(arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["openssl", *arguments], capture_output=True, timeout=CALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise SigningError("openssl did not answer") from None
    except OSError as error:
        raise SigningError(f"openssl can't be run: {error.strerror}") from None
