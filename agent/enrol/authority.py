"""Fetch a private authority's certificates, known by their fingerprint, from the server.

The connection can't be checked yet: what it brings is used only if it has the fingerprint, which
came from the server's page by another way. Only the bytes that were hashed are kept, written anew:
the text around and inside them could mean something else to whoever reads it next.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import re
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.enrol.codes import FINGERPRINT_LENGTH
from agent.errors import AgentError, ConfigError
from agent.transport.request import ANSWER_BYTES, Answer, UnreachedError, ask

PATH = "/api/device/authorities/"
FINGERPRINT_BYTES = 16

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_FINGERPRINT = re.compile(rf"[A-Za-z0-9_-]{{{FINGERPRINT_LENGTH}}}")


class AuthorityError(AgentError):
    """The certificates were not received, or are others. The claim code was not used."""


def fingerprint(certificates: str) -> str:
    """Return the first 16 bytes of the SHA-256 of all certificates in DER, in base64url.

    Raises ValueError if there is none.
    """
    return _fingerprint(_in_der(certificates))


def _in_der(certificates: str) -> list[bytes]:
    """Return the certificates of a text in PEM. Raises ValueError if there is none."""
    found = ["".join(each.split()) for each in _PEM.findall(certificates)]
    if not found:
        raise ValueError("expected certificates in PEM")
    return [base64.b64decode(each, validate=True) for each in found]


def _fingerprint(certificates: Sequence[bytes]) -> str:
    digest = hashlib.sha256(b"".join(certificates)).digest()[:FINGERPRINT_BYTES]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@contextlib.contextmanager
def fetched(url: str, wanted: str | None) -> Iterator[Path | None]:
    """Yield a file with the certificates that have this fingerprint; None without a fingerprint.

    Raises ConfigError, UnreachedError or AuthorityError.
    """
    if wanted is None:
        yield None
        return
    certificates = _certificates(url, wanted)
    with tempfile.TemporaryDirectory(prefix="blinklog-") as folder:
        file = Path(folder) / "authority.crt"
        file.write_text(certificates, "ascii")
        yield file


def _certificates(url: str, wanted: str) -> str:
    if not _FINGERPRINT.fullmatch(wanted):
        raise ConfigError(
            f"the fingerprint: expected {FINGERPRINT_LENGTH} characters, found {wanted!r}"
        )
    try:
        answer = ask("GET", f"{url}{PATH}{wanted}/", checked=False)
    except UnreachedError as error:
        raise UnreachedError(f"{url}: {error}", sent=False) from error
    text = _text(answer)
    if text is None:
        raise AuthorityError(
            f"{url} has no authority with this fingerprint: was its certificate renewed? Make a new"
            " code"
        )
    try:
        certificates = _in_der(text)
        found = _fingerprint(certificates)
    except ValueError:
        certificates, found = [], "none"
    if not hmac.compare_digest(found, wanted):
        raise AuthorityError(
            f"{url}: the authority's fingerprint: expected {wanted}, found {found}: somebody may"
            " be answering in the server's place"
        )
    return "".join(map(ssl.DER_cert_to_PEM_cert, certificates))


def _text(answer: Answer) -> str | None:
    """Return the certificates of the answer, or None if it has none."""
    if answer.status != 200 or len(answer.body) >= ANSWER_BYTES:
        return None
    try:
        value = json.loads(answer.body)["certificates"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) and value.isascii() else None
